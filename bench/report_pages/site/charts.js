/* Two kinds of chart, drawn as SVG: values of clips as dots, and curves over time. */
"use strict";

const DOTS = [640, 40]; /* units of a strip of dots */
const NEAREST = 8; /* pixels from a dot that still mean it */

/* Values of clips as dots on one axis from `low` to `high`, with their mean and its interval.
   All dots are one path, because thousands of elements take seconds; which of them is pointed at is computed. */
function dotStrip(points, low, high, mean, words) {
  const [width, height] = DOTS;
  const x = (value) => 8 + ((width - 16) * (value - low)) / (high - low || 1);
  const jitter = (place) => 6 + (height - 12) * ((place * 0.6180339887) % 1); /* spread evenly, and the same each time */
  const dots = points.map(([value], place) => [x(value), jitter(place)]);
  const told = element("title", {}, words);
  const nearest = (event) => {
    const box = strip.getBoundingClientRect();
    const far = ([across, down]) => Math.hypot((across / width) * box.width + box.left - event.clientX, (down / height) * box.height + box.top - event.clientY);
    const best = dots.reduce((least, dot, place) => { const at = far(dot); return at < least[0] ? [at, place] : least; }, [NEAREST, -1]);
    return points[best[1]];
  };
  const strip = element("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": words,
    onclick: (event) => nearest(event)?.[2]?.(), onmousemove: (event) => { told.textContent = nearest(event)?.[1] || words; } },
    told,
    low < 0 && high > 0 ? element("line", { class: "zero", x1: x(0), x2: x(0), y1: 0, y2: height }) : null,
    element("path", { class: "clip", d: dots.map(([across, down]) => `M${across.toFixed(1)} ${down.toFixed(1)}h0`).join("") }),
    mean && mean.low !== null ? element("line", { class: "interval", x1: x(mean.low), x2: x(mean.high), y1: height / 2, y2: height / 2 }) : null,
    mean && mean.value !== null ? element("line", { class: "mean", x1: x(mean.value), x2: x(mean.value), y1: 4, y2: height - 4 }) : null);
  return strip;
}

/* Curves over the width of the clip; `range` is at the top, minus `range` at the bottom. */
function timeCurve(lines, range, segments, seconds, words) {
  const [width, height] = [640, 96];
  const x = (place) => (width * (segments.first + place * segments.step)) / seconds;
  const y = (value) => height / 2 - (height / 2 - 3) * Math.max(-1, Math.min(1, value / range));
  const path = (values) => {
    let pen = "M";
    return values.map((value, place) => {
      if (value === null) { pen = "M"; return ""; }
      const alone = pen === "M" && (values[place + 1] ?? null) === null; /* a point is drawn as a short line */
      const piece = `${pen}${x(place).toFixed(1)} ${y(value).toFixed(1)}${alone ? "h2" : ""}`;
      pen = "L";
      return piece;
    }).join("");
  };
  return element("svg", { viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", role: "img", "aria-label": `${words} over time: ${lines.map((line) => line.text).join(", ")}` },
    element("line", { class: "zero", x1: 0, x2: width, y1: height / 2, y2: height / 2 }),
    lines.map((line) => element("path", { class: line.kind, d: path(line.values) })));
}
