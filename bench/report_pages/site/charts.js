/* Three kinds of chart, drawn as SVG: curves over time, values of clips as dots, differences as dots. */
"use strict";

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
