/* One metric: how its values lie over the clips, and how two systems differ on the same ones. */
"use strict";

REPORT.pages.metrics = async () => {
  const { select, suite, scores } = await chosenSuite(() => REPORT.pages.metrics());
  if (!scores.metrics.length) {
    show(element("h1", {}, "Metrics"), select, element("p", {}, "No metric of this suite has values of single clips."));
    return;
  }
  contenders(scores);
  const box = element("div", {});
  const draw = () => box.replaceChildren(distributions(suite, scores), differences(suite, scores));
  show(
    element("h1", {}, "Metrics"),
    element("form", { class: "controls", onsubmit: (event) => event.preventDefault() },
      select, metricChoice(scores, draw),
      systemChoice("first", "Difference of", scores, draw), systemChoice("second", "and", scores, draw)),
    box);
  draw();
};

function metricNumber(scores) {
  return scores.metrics.findIndex((metric) => metric.key === chosen.metric);
}

/* The cell of the tables that shows a metric of a system: value, interval and mark are those of the leaderboard. */
function tableCell(suite, key, title) {
  for (const table of REPORT.values.run.tables) {
    if (!table.title.startsWith(suite.title)) continue;
    const row = table.rows.find((one) => Object.values(one).includes(title));
    if (row?.cells[key]) return row.cells[key];
  }
  return null;
}

function visit(suite, scores, clip) {
  const { id, key } = scores.clips[clip];
  return key ? () => { location.hash = address("clip", suite.name, id); } : null;
}

function axisEnds(low, high, digits, unit) {
  return [element("span"), element("div", { class: "ends" }, element("span", {}, `${low.toFixed(digits)} ${unit}`), element("span", {}, `${high.toFixed(digits)} ${unit}`)), element("span")];
}

function distributions(suite, scores) {
  const number = metricNumber(scores);
  const metric = scores.metrics[number];
  const known = scores.systems.map((system) => (scores.values[system.name]?.[number] || [])
    .map((value, clip) => [value, clip]).filter(([value]) => value !== null));
  const every = known.flat().map(([value]) => value);
  const [low, high] = [Math.min(...every), Math.max(...every)];
  return element("section", {},
    element("h2", {}, metric.heading, " over clips"),
    element("p", { class: "note" }, metric.description, " A dot is a clip; press it to listen. The bar is the leaderboard's value with its 95 % interval."),
    element("div", { class: "dots" }, scores.systems.flatMap((system, at) => {
      const cell = tableCell(suite, metric.key, system.title);
      const points = known[at].map(([value, clip]) => [value, `${scores.clips[clip].id}: ${format(value, metric.digits)}`, visit(suite, scores, clip)]);
      const text = cell ? cell.text : missing;
      return [name(system.title), dotStrip(points, low, high, cell, `${system.title}: ${text}, ${points.length} clips`), element("b", {}, text)];
    }), every.length ? axisEnds(low, high, metric.digits, metric.unit) : null));
}

function differences(suite, scores) {
  const number = metricNumber(scores);
  const metric = scores.metrics[number];
  const title = (system) => scores.systems.find((one) => one.name === system)?.title || "";
  const [first, second] = [chosen.first, chosen.second];
  const [a, b] = [first, second].map((system) => scores.values[system]?.[number] || []);
  const gaps = a.map((value, clip) => [value === null || b[clip] === null ? null : value - b[clip], clip]).filter(([gap]) => gap !== null);
  const heading = element("h2", {}, name(title(first)), " minus ", name(title(second)));
  const forward = scores.pairs.find((pair) => pair.metric === number && pair.first === first && pair.second === second);
  const backward = scores.pairs.find((pair) => pair.metric === number && pair.first === second && pair.second === first);
  const minus = (value) => (value === null ? null : -value);
  const pair = forward || (backward && { ...backward, mean: minus(backward.mean), low: minus(backward.high), high: minus(backward.low), effect: minus(backward.effect) });
  if (!pair) return element("section", {}, heading, element("p", {}, first === second ? "Choose two systems." : "They have fewer than two clips in common here."));
  const bound = Math.max(...gaps.map(([gap]) => Math.abs(gap)), 1e-9);
  const sign = metric.better === "lower" ? -1 : 1;
  const wins = gaps.filter(([gap]) => sign * gap > 0).length;
  const ties = gaps.filter(([gap]) => gap === 0).length;
  const digits = metric.digits + 1;
  const points = gaps.map(([gap, clip]) => [gap, `${scores.clips[clip].id}: ${format(gap, digits)}`, visit(suite, scores, clip)]);
  const told = `${format(pair.mean, digits)} ${metric.unit}, 95 % interval ${format(pair.low, digits)} to ${format(pair.high, digits)}`;
  return element("section", {}, heading,
    element("div", { class: "dots" }, element("span", {}, metric.heading),
      dotStrip(points, -bound, bound, { value: pair.mean, low: pair.low, high: pair.high }, `Differences of ${gaps.length} clips: ${told}`),
      element("b", {}, format(pair.mean, digits)), axisEnds(-bound, bound, metric.digits, metric.unit)),
    pairs([
      ["Mean difference", told],
      ["Clips", `${gaps.length}${metric.better === "higher" || metric.better === "lower" ? `: ${title(first)} is better on ${wins}, ${title(second)} on ${gaps.length - wins - ties}, no difference on ${ties}` : ""}`],
      ["Effect size", pair.effect === null ? "none: every clip differs by the same" : `${format(pair.effect, 2)} standard deviations of the differences`],
      ["Test", `p = ${pair.p} (studentised bootstrap of the differences; of this pair alone, not corrected for looking at many)`],
    ]));
}
