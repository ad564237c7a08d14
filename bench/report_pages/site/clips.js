/* The list of clips: one metric of all systems, and the difference of two. */
"use strict";

const AT_ONCE = 20; /* rows that are drawn, and taken away, together */
const ROW = 62; /* pixels of a row, before it has been drawn */
const NEAR_SCREEN = "800px 0px";
const EXTREMES = 20; /* clips that "worst" and "best" show */
const clipSorting = { key: "clip", down: false };

/* The suite that is looked at, with its scores. */
async function chosenSuite(change) {
  const { suites } = REPORT.values.run;
  const select = choice("suite", "Suite", suites.map((suite, number) => [String(number), suite.title]), change);
  return { select: suites.length > 1 ? select : null, suite: suites[+chosen.suite], scores: await REPORT.scores(chosen.suite) };
}

function metricChoice(scores, change) {
  return choice("metric", "Metric", scores.metrics.map((metric) => [metric.key, metric.heading + (metric.unit ? ` (${metric.unit})` : "")]), change);
}

function systemChoice(key, label, scores, change, none) {
  const options = scores.systems.map((system) => [system.name, system.title]);
  return choice(key, label, none ? [["", none], ...options] : options, change);
}

function contenders(scores) {
  const able = scores.systems.filter((system) => !system.anchor);
  chosen.first ??= (able[0] || scores.systems[0])?.name;
  chosen.second ??= (able[1] || scores.systems.find((system) => system.name !== chosen.first))?.name;
}

REPORT.pages.clips = async () => {
  const { select, suite, scores } = await chosenSuite(() => REPORT.pages.clips());
  contenders(scores);
  const box = element("div", {});
  const draw = () => box.replaceChildren(clipList(suite, scores, draw));
  const only = [["", "all"], ["worst", `the ${EXTREMES} worst of the first system`], ["best", `the ${EXTREMES} best of the first system`],
    ["flagged", "with remarks or failures"], ["missing", "with a missing value"]];
  show(
    element("h1", {}, "Clips"),
    element("form", { class: "controls", role: "search", onsubmit: (event) => event.preventDefault() },
      select,
      scores.metrics.length ? metricChoice(scores, draw) : null,
      systemChoice("first", "Difference of", scores, draw),
      systemChoice("second", "and", scores, draw),
      choice("only", "Show", only, draw),
      search("clip", "Find", draw)),
    box);
  draw();
};

function clipList(suite, scores, draw) {
  const number = scores.metrics.findIndex((metric) => metric.key === chosen.metric);
  const metric = scores.metrics[number] || { digits: 2, better: "none", heading: "", description: "" };
  const value = (system, clip) => scores.values[system]?.[number]?.[clip] ?? null;
  const gap = (clip) => {
    const [a, b] = [value(chosen.first, clip), value(chosen.second, clip)];
    return a === null || b === null ? null : a - b;
  };
  const flags = new Map();
  for (const flag of scores.flags) flags.set(flag.clip, [...(flags.get(flag.clip) || []), flag]);
  /* How good a value is; null where none is better than another. */
  const worth = (clip) => {
    const [own, truth] = [value(chosen.first, clip), value("reference", clip)];
    if (own === null || metric.better === "none" || (metric.better === "reference" && truth === null)) return null;
    return metric.better === "reference" ? -Math.abs(own - truth) : metric.better === "lower" ? -own : own;
  };
  const every = scores.clips.map((_, clip) => clip);
  const extreme = new Set(order(every.map(worth), chosen.only === "best").filter((clip) => worth(clip) !== null).slice(0, EXTREMES));
  const shown = every.filter((clip) => {
    const { id, caption } = scores.clips[clip];
    if ((chosen.only === "worst" || chosen.only === "best") && !extreme.has(clip)) return false;
    if (chosen.only === "flagged" && !flags.has(clip)) return false;
    if (chosen.only === "missing" && scores.systems.every((system) => value(system.name, clip) !== null)) return false;
    return matches(`${id} ${caption}`, chosen.clip);
  });
  const sortKey = { clip: (clip) => scores.clips[clip].id, gap, flags: (clip) => flags.get(clip)?.length || null };
  const pick = sortKey[clipSorting.key] || ((clip) => value(clipSorting.key?.slice(7), clip));
  const sorted = clipSorting.key === null ? shown : order(shown.map(pick), clipSorting.down).map((place) => shown[place]);
  const redraw = (key) => { draw(); document.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus(); };
  const title = (system) => scores.systems.find((one) => one.name === system)?.title || "";
  const head = element("thead", {}, element("tr", {},
    element("th", { scope: "col" }, element("span", { class: "unseen" }, "Picture")),
    heading("clip", clipSorting, "clip", false, redraw),
    scores.systems.map((system) => heading(name(system.title), clipSorting, `system:${system.name}`, metric.better === "higher", redraw)),
    heading("difference", clipSorting, "gap", true, redraw, { title: `${title(chosen.first)} minus ${title(chosen.second)}` }),
    heading("remarks", clipSorting, "flags", true, redraw)));
  const row = (clip) => {
    const { id, caption, key, thumbnail } = scores.clips[clip];
    const link = key ? element("a", { href: address("clip", suite.name, id) }, name(id)) : name(id);
    const said = (flags.get(clip) || []).map((flag) => `${flag.system ? `${flag.system}: ` : ""}${flag.message}`);
    return element("tr", {},
      element("td", {}, thumbnail ? element("img", { src: thumbnail, alt: "", loading: "lazy", width: 96, height: 54 }) : null),
      element("th", { scope: "row" }, link, caption ? element("small", { dir: "auto" }, caption) : null),
      scores.systems.map((system) => element("td", {}, format(value(system.name, clip), metric.digits))),
      element("td", {}, format(gap(clip), metric.digits)),
      element("td", { title: said.join("\n"), class: "left" }, [...new Set((flags.get(clip) || []).map((flag) => flag.reason))].join(", ")));
  };
  const table = element("table", { class: "clips", "aria-rowcount": sorted.length + 1 }, head, rowsInParts(sorted, row, scores.systems.length + 4));
  keepWidths(table);
  return element("section", {},
    element("p", { class: "note", role: "status" }, `${sorted.length} of ${scores.clips.length} clips. ${metric.heading}: ${metric.description} `,
      "The difference is ", name(title(chosen.first)), " minus ", name(title(chosen.second)), "."),
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Clips" }, table));
}

/* Rows of a table in parts, of which only those near the screen are there: thousands of rows at once would stall it. */
function rowsInParts(items, row, columns) {
  const parts = new Map();
  for (let start = 0; start < items.length; start += AT_ONCE) parts.set(element("tbody", {}), { items: items.slice(start, start + AT_ONCE), start, height: null });
  const fill = (part) => {
    const { items: own, start } = parts.get(part);
    part.replaceChildren(...own.map((item, place) => { const made = row(item); made.setAttribute("aria-rowindex", start + place + 2); return made; }));
    part.dataset.filled = "";
  };
  const empty = (part) => {
    const told = parts.get(part);
    if ("filled" in part.dataset) told.height = part.offsetHeight;
    delete part.dataset.filled;
    const space = element("td", { colspan: columns, class: "space", "aria-hidden": "true" });
    space.style.height = `${told.height ?? told.items.length * ROW}px`;
    part.replaceChildren(element("tr", {}, space));
  };
  const observer = new IntersectionObserver((entries) => entries.forEach(({ isIntersecting, target }) => {
    if (isIntersecting && !("filled" in target.dataset)) fill(target);
    else if (!isIntersecting && "filled" in target.dataset) empty(target);
  }), { rootMargin: NEAR_SCREEN });
  for (const part of parts.keys()) {
    if (parts.get(part).start === 0) fill(part); else empty(part);
    observer.observe(part);
  }
  beforePrint = () => { observer.disconnect(); [...parts.keys()].forEach(fill); };
  return [...parts.keys()];
}

let beforePrint = () => {};
window.addEventListener("beforeprint", () => beforePrint());

/* Columns keep the widths that they have with the first rows, whichever rows are there. */
function keepWidths(table) {
  requestAnimationFrame(() => {
    const headings = [...table.tHead.rows[0].cells];
    const widths = headings.map((cell) => cell.offsetWidth);
    if (!table.isConnected || !widths.some(Boolean)) return;
    headings.forEach((cell, place) => { cell.style.width = `${widths[place]}px`; });
    table.style.width = `${table.offsetWidth}px`;
    table.style.tableLayout = "fixed";
  });
}
