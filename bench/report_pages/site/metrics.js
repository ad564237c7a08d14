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

const AXIS = 24; /* pixels */

/* Rows of a name, values of clips on one axis, and a text; a dot tells its clip and leads to it. */
function valueRows(suite, scores, rows, ends, unit, digits) {
  const over = ([value, clip]) => `${scores.clips[clip].id}: ${format(value, digits)}`;
  const press = ([, clip]) => { if (scores.clips[clip].key) location.hash = address("clip", suite.name, scores.clips[clip].id); };
  const grid = element("div", { class: "dots" },
    rows.map(({ label, text }) => [element("div", {}, label), element("b", {}, text)]),
    element("div", {}), element("small", {}, unit),
    dotRows(rows, ends, AXIS, rows.map(({ words }) => words).join("; "), { over, press }));
  grid.style.gridTemplateRows = `repeat(${rows.length}, minmax(2.6rem, 1fr)) ${AXIS}px`;
  return grid;
}

function distributions(suite, scores) {
  const number = metricNumber(scores);
  const metric = scores.metrics[number];
  const rows = scores.systems.map((system) => {
    const cell = tableCell(suite, metric.key, system.title);
    const points = (scores.values[system.name]?.[number] || []).map((value, clip) => [value, clip]).filter(([value]) => value !== null);
    return { label: name(system.title), points, mean: cell, text: cell ? cell.text : missing, words: `${system.title}: ${cell ? cell.text : missing}, ${points.length} clips` };
  });
  const every = rows.flatMap(({ points }) => points.map(([value]) => value));
  const ends = every.length ? [Math.min(...every), Math.max(...every)] : [0, 1];
  return element("section", {},
    element("h2", {}, metric.heading, " over clips"),
    element("p", { class: "note" }, metric.description, " A dot is a clip; press it to listen. Of many clips a violin shows how they lie, and dots those outside. The bar is the leaderboard's value with its 95 % interval."),
    valueRows(suite, scores, rows, ends, metric.unit, metric.digits));
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
  const told = `${format(pair.mean, digits)} ${metric.unit}, 95 % interval ${format(pair.low, digits)} to ${format(pair.high, digits)}`;
  const row = { label: metric.heading, points: gaps, mean: { ...pair, value: pair.mean }, text: format(pair.mean, digits), words: `Differences of ${gaps.length} clips: ${told}` };
  return element("section", {}, heading,
    valueRows(suite, scores, [row], [-bound, bound], metric.unit, digits),
    pairs([
      ["Mean difference", told],
      ["Clips", `${gaps.length}${metric.better === "higher" || metric.better === "lower" ? `: ${title(first)} is better on ${wins}, ${title(second)} on ${gaps.length - wins - ties}, no difference on ${ties}` : ""}`],
      ["Effect size", pair.effect === null ? "none: every clip differs by the same" : `${format(pair.effect, 2)} standard deviations of the differences`],
      ["Test", `p = ${pair.p} (studentised bootstrap of the differences; of this pair alone, not corrected for looking at many)`],
    ]));
}
