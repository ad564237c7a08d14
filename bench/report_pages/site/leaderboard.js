/* The tables of the run, sortable and filtered; their cells are those of the terminal. */
"use strict";

const EXPLAINED = {
  best: "bold: the best of its column, or not told apart from it by a test",
  second: "underlined: the second best, or not told apart from it",
};

REPORT.pages.tables = () => {
  const { tables, help } = REPORT.values.run;
  const box = element("div", {});
  const draw = () => box.replaceChildren(...tables
    .filter((table) => chosen.table === "" || table.title === chosen.table)
    .map((table) => tableView(table, help)));
  const titles = [...new Set(tables.map((table) => table.title))].map((title) => [title, title]);
  show(
    element("h1", {}, "Leaderboard"),
    element("form", { class: "controls", role: "search", onsubmit: (event) => event.preventDefault() },
      choice("table", "Table", [["", "all"], ...titles], draw),
      search("rows", "System", draw),
      search("columns", "Column", draw)),
    box,
    element("p", { class: "note" }, "± is half of the 95 % interval over clips; ", Object.values(EXPLAINED).join("; "),
      ". Press a heading to sort: best first, worst first, as it was. Point at a cell for its exact value and interval."),
  );
  draw();
};

const sortings = {};

function tableView(table, help) {
  const state = (sortings[table.title] ||= { key: null, down: false });
  const corner = Object.keys(table.rows[0] || { system: "" })[0];
  const columns = table.columns.filter((column) => matches(`${column.title} ${column.key}`, chosen.columns));
  const rows = table.rows.filter((row) => matches(`${row[corner]} ${row.group}`, chosen.rows));
  const wordy = new Set(columns.filter((column) => table.rows.every((row) => row.cells[column.key].value === null)).map((column) => column.key));
  const draw = (key) => {
    const fresh = tableView(table, help);
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
          state, column.key, column.better === "higher", draw, { title: help[column.key] || column.key })))),
      element("tbody", {}, places.map((place, at) => {
        const row = rows[place];
        const rule = key === null && at > 0 && rows[places[at - 1]].group !== row.group;
        return element("tr", { class: rule ? "rule" : null },
          element("th", { scope: "row" }, name(row[corner])),
          columns.map((column) => cellView(row.cells[column.key], wordy.has(column.key))));
      })))),
    table.notes.map((note) => element("p", { class: "note" }, name(note))),
    meanings(columns, help));
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

function meanings(columns, help) {
  const known = columns.filter((column) => help[column.key]);
  if (!known.length) return null;
  return element("details", {}, element("summary", {}, "What the columns mean"),
    element("dl", {}, known.map((column) => [element("dt", {}, column.title), element("dd", {}, help[column.key])])));
}
