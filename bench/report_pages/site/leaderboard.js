/* The tables of the run, sortable and filtered; their cells are those of the terminal. */
"use strict";

const EXPLAINED = {
  best: "bold: the best of its column, or not told apart from it by a test",
  second: "underlined: the second best, or not told apart from it",
};

/* Tables begin with the title of their suite; those of listeners and of nothing else belong to none. */
const suiteOf = (table) => REPORT.values.run.suites.find((suite) => table.title.startsWith(suite.title))?.title || "";
const groupOf = (column) => REPORT.values.run.columns[column.key]?.group || "other columns";
const cornerOf = (table) => Object.keys(table.rows[0] || { system: "" })[0];
const unlike = (values) => [...new Set(values)];

REPORT.pages.tables = () => {
  const { tables } = REPORT.values.run;
  const box = element("div", {});
  const draw = () => {
    const shown = tables.filter((table) => !chosen.of || suiteOf(table) === chosen.of).map((table) => tableView(table)).filter(Boolean);
    box.replaceChildren(...(shown.length ? shown : [element("p", { role: "status" }, "Nothing is left: every row or column is filtered out.")]));
  };
  const suites = unlike(tables.map(suiteOf)).filter(Boolean);
  const groups = unlike(tables.flatMap((table) => table.columns.map(groupOf)));
  show(
    element("h1", {}, "Leaderboard"),
    element("form", { class: "controls", role: "search", onsubmit: (event) => event.preventDefault() },
      choice("of", "Suite", [["", "all suites"], ...suites.map((title) => [title, title])], draw),
      choice("group", "Metrics", [["", "all metrics"], ...groups.map((group) => [group, group])], draw),
      search("columns", "Column", draw),
      systemBoxes(unlike(tables.flatMap((table) => table.rows.map((row) => row[cornerOf(table)]))), draw)),
    box,
    element("p", { class: "note" }, "± is half of the 95 % interval over clips; ", Object.values(EXPLAINED).join("; "),
      ". Press a heading to sort: best first, worst first, as it was. Point at a cell for its exact value and interval."),
  );
  draw();
};

/* A box to tick for each system; those that are not ticked are kept in `chosen.without`. */
function systemBoxes(systems, change) {
  chosen.without ||= new Set();
  const count = element("summary", {});
  const boxes = systems.map((system) => element("input", { type: "checkbox", "data-row": system, onchange: (event) => {
    if (event.target.checked) chosen.without.delete(system); else chosen.without.add(system);
    changed();
  } }));
  const told = () => {
    boxes.forEach((box, at) => { box.checked = !chosen.without.has(systems[at]); });
    count.textContent = `Systems: ${systems.filter((system) => !chosen.without.has(system)).length} of ${systems.length}`;
  };
  const changed = () => { told(); change(); };
  const every = (label, names) => element("button", { type: "button", onclick: () => { chosen.without = new Set(names); changed(); } }, label);
  told();
  return element("details", { class: "boxes" }, count,
    element("div", { role: "group", "aria-label": "Systems" }, every("all", []), every("none", systems),
      systems.map((system, at) => element("label", {}, boxes[at], " ", name(system)))));
}

const sortings = {};

/* Null where the reader has filtered everything out. `whole` tables are not filtered. */
function tableView(table, whole) {
  const state = (sortings[table.title] ||= { key: null, down: false });
  const corner = cornerOf(table);
  const columns = table.columns.filter((column) => whole || ((!chosen.group || groupOf(column) === chosen.group) && matches(`${column.title} ${column.key}`, chosen.columns)));
  const rows = table.rows.filter((row) => whole || !chosen.without?.has(row[corner]));
  if (!columns.length || !rows.length) return null;
  const wordy = new Set(columns.filter((column) => table.rows.every((row) => row.cells[column.key].value === null)).map((column) => column.key));
  const draw = (key) => {
    const fresh = tableView(table, whole);
    view.replaceWith(fresh);
    fresh.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus();
  };
  const arrow = { higher: " ↑", lower: " ↓", reference: " →ref", none: "" };
  const key = state.key;
  const numbers = rows.map((row) => row.cells[key]?.value ?? null);
  const texts = rows.map((row) => (key === "" ? row[corner] : row.cells[key]?.text));
  const values = numbers.every((number) => number === null) ? texts : numbers;
  const places = key === null ? rows.map((_, place) => place) : order(values, state.down);
  const view = element("section", {},
    element("h2", {}, name(table.title)),
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": table.title }, element("table", {},
      element("thead", {}, element("tr", {},
        heading(corner, state, "", false, draw),
        columns.map((column) => heading(
          [column.title + arrow[column.better], element("small", {}, column.unit)],
          state, column.key, column.better === "higher", draw, {}, REPORT.values.run.columns[column.key]?.help)))),
      element("tbody", {}, places.map((place, at) => {
        const row = rows[place];
        const rule = key === null && at > 0 && rows[places[at - 1]].group !== row.group;
        return element("tr", { class: rule ? "rule" : null },
          element("th", { scope: "row" }, name(row[corner])),
          columns.map((column) => cellView(row.cells[column.key], wordy.has(column.key))));
      })))),
    table.notes.map((note) => element("p", { class: "note" }, name(note))),
    meanings(columns));
  return view;
}

function cellView(cell, wordy) {
  const exact = cell.value === null ? [] : [`${cell.value}`];
  if (cell.low !== null) exact.push(`95 % interval ${cell.low.toPrecision(5)} to ${cell.high.toPrecision(5)}`);
  if (cell.mark) exact.push(EXPLAINED[cell.mark] || cell.mark);
  if (cell.reason) exact.push(cell.reason);
  return element("td", { class: cell.mark || (wordy && cell.text !== missing ? "left" : null), title: exact.join("\n") },
    cell.mark === "best" ? element("strong", {}, cell.text) : cell.mark === "second" ? element("u", {}, cell.text) : cell.text);
}

function meanings(columns) {
  const { columns: known, manual } = REPORT.values.run;
  const told = columns.filter((column) => known[column.key]);
  if (!told.length) return null;
  const page = ({ page }) => manual[page] ? [" ", element("a", { href: address("manual", page) }, "Manual page")] : null;
  return element("details", {}, element("summary", {}, "What the columns mean"),
    element("dl", {}, told.map((column) => [element("dt", {}, column.title), element("dd", {}, known[column.key].help, page(known[column.key]))])));
}
