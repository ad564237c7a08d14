/* Charts are plotly's: values of clips as dots, and curves over time. Its script is read when the first is drawn.
   Plotly takes tags in texts for markup, so none of its texts are of data: names stand beside charts, or in the bubble. */
"use strict";

const DOTS = { size: 6, opacity: 0.65 };
const MANY = 300; /* dots of a row, above which its violin tells more, and is drawn sooner */
const CONFIG = { displayModeBar: false, displaylogo: false, showSendToCloud: false, doubleClick: false };

let library = null;

function plotly() {
  library ??= new Promise((resolve, reject) => {
    const fail = () => { library = null; reject(new Error("plotly.min.js cannot be read: there are no charts")); };
    document.head.append(element("script", { src: "plotly.min.js", onload: () => resolve(Plotly), onerror: fail }));
  });
  return library;
}

const colour = (use) => getComputedStyle(document.documentElement).getPropertyValue(`--${use}`).trim();

/* A box with a chart in it. `figure` returns its traces and its layout, and `words`, what it says to who does not see it;
   both are asked again when the box is to be `draw`n again, in whatever size and colours it then has. */
function chart(figure, words, { over, press } = {}) {
  const box = element("div", { class: "chart", role: "img" });
  const draw = async () => {
    box.setAttribute("aria-label", words());
    let drawn;
    try { drawn = await plotly(); } catch (error) { box.textContent = error.message; return; }
    await new Promise(requestAnimationFrame); /* by then it is in the page */
    if (!box.clientWidth) return;
    const fresh = !box.data;
    const { traces, layout } = figure();
    const none = "rgba(0, 0, 0, 0)";
    drawn.react(box, traces, {
      width: box.clientWidth, height: box.clientHeight, margin: { l: 0, r: 0, t: 0, b: 0 }, showlegend: false, dragmode: false,
      hovermode: "closest", paper_bgcolor: none, plot_bgcolor: none, font: { color: colour("quiet"), size: 12 }, ...layout,
    }, CONFIG);
    for (const svg of box.querySelectorAll(".main-svg")) { /* paper has another width */
      svg.setAttribute("viewBox", `0 0 ${box.clientWidth} ${box.clientHeight}`);
      svg.setAttribute("preserveAspectRatio", "none");
    }
    if (!fresh) return;
    const point = (event) => event.points[0];
    if (over) box.on("plotly_hover", (event) => openBubble(over(point(event)), event.event.clientX + 12, event.event.clientY + 12));
    if (over) box.on("plotly_unhover", closeBubble);
    if (press) box.on("plotly_click", (event) => press(point(event)));
  };
  box.redraw = draw;
  sizes.observe(box);
  return box;
}

/* Draws what has got another size, at first from none; what has left the page gives back what it holds. */
const sizes = new ResizeObserver((entries) => entries.forEach(({ target }) => {
  if (target.isConnected) target.redraw();
  else { sizes.unobserve(target); if (target.data) Plotly.purge(target); }
}));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.querySelectorAll(".chart").forEach((box) => box.redraw()));

const axis = (range, more) => ({ range, fixedrange: true, showgrid: false, zeroline: false, showticklabels: false, ticks: "", ...more });
const zero = (along) => ({ type: "line", layer: "below", line: { color: colour("line"), width: 1 }, ...along });

/* Values of clips on one axis from `low` to `high`: a row for each `{ points, mean }`, the mean with its interval.
   `points` are of value and clip: dots, or where there are many, a violin with those outside as dots.
   Below the rows `foot` pixels are left for the axis. */
function dotRows(rows, [low, high], foot, words, { over, press }) {
  const spare = (high - low || 1) / 50;
  const jitter = (place) => 0.12 + 0.76 * ((place * 0.6180339887) % 1); /* spread evenly, and the same each time */
  const middle = (row) => rows.length - row - 0.5;
  const valued = (points) => ({ x: points.map(([value]) => value), hoverinfo: "none", marker: { ...DOTS, color: colour("own"), line: { width: 0 } } });
  const dots = (points, row) => ({ ...valued(points), mode: "markers", y: points.map((_, place) => rows.length - row - jitter(place)) });
  const violin = (points, row) => ({
    ...valued(points), type: "violin", orientation: "h", y0: middle(row), width: 0.9, points: "outliers", pointpos: 0, jitter: 0.3,
    hoveron: "points", spanmode: "hard", line: { color: colour("own"), width: 1 }, fillcolor: colour("line") });
  const figure = () => {
    const told = rows.map(({ mean }, row) => [mean, middle(row)]).filter(([mean]) => (mean?.value ?? null) !== null);
    const bar = { color: colour("head"), thickness: 3, width: 0 };
    return {
      traces: [
        ...rows.map(({ points }, row) => (points.length > MANY ? violin : dots)(points, row)),
        { mode: "markers", hoverinfo: "skip", x: told.map(([mean]) => mean.value), y: told.map(([, at]) => at),
          marker: { symbol: "line-ns", size: 26, line: { color: bar.color, width: 3 } },
          error_x: { type: "data", symmetric: false, array: told.map(([mean]) => (mean.high ?? mean.value) - mean.value), arrayminus: told.map(([mean]) => mean.value - (mean.low ?? mean.value)), ...bar } },
      ],
      layout: {
        margin: { l: 0, r: 0, t: 0, b: foot }, yaxis: axis([0, rows.length]),
        xaxis: axis([low - spare, high + spare], { showticklabels: true, nticks: 6, ticklabeloverflow: "hide past div" }),
        shapes: [
          ...(low < 0 && high > 0 ? [zero({ x0: 0, x1: 0, y0: 0, y1: rows.length })] : []),
          ...Array.from({ length: rows.length + 1 }, (_, at) => zero({ xref: "paper", x0: 0, x1: 1, y0: at, y1: at })),
        ],
      },
    };
  };
  const at = ({ curveNumber, pointNumber }) => rows[curveNumber].points[pointNumber];
  return chart(figure, () => words, { over: (point) => over(at(point)), press: (point) => press(at(point)) });
}

const STROKES = { own: "solid", reference: "5px,3px", true: "1px,4px" };

/* Curves over the width of the clip; `range` is at the top, minus `range` at the bottom. `lines` is asked again with each drawing. */
function timeCurve(lines, range, unit, segments, seconds, words) {
  const figure = () => ({
    traces: lines().map(({ kind, values }) => ({
      mode: "lines+markers", connectgaps: false, y: values, x0: segments.first, dx: segments.step, hovertemplate: `%{x:.2f} s: %{y}${unit}<extra></extra>`,
      marker: { size: 2.5, color: colour(kind) }, line: { color: colour(kind), width: 2, dash: STROKES[kind] }, name: kind,
    })),
    layout: { xaxis: axis([0, seconds]), yaxis: axis([-range, range]), shapes: [zero({ xref: "paper", x0: 0, x1: 1, y0: 0, y1: 0 })] },
  });
  return chart(figure, () => `${words} over time: ${lines().map((line) => line.text).join(", ")}`);
}
