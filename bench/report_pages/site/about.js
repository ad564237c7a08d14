/* Where everything comes from: systems, provenance, failures. */
"use strict";

REPORT.pages.systems = () => {
  const given = { video: "the video", caption: "a caption", reference_mono: "the reference's own mono sound", reference: "the reference itself" };
  const lines = (card) => [
    ["Given", (card.inputs || []).map((input) => given[input] || input).join(", ")],
    ["Optimised for", (card.optimised || []).join(", ")],
    ["Paper", card.paper],
    ["Code licence", card.code_licence],
    ["Weights licence", card.weights_licence],
    ["Revision", card.revision],
    ["Role", card.anchor ? "anchor: it does not compete" : "competes"],
  ].filter(([, text]) => text);
  show(element("h1", {}, "Systems"), element("div", { class: "cards" }, REPORT.values.run.cards.map((card) =>
    element("section", { class: "card" },
      element("h2", {}, name(card.title || card.name)),
      element("p", { dir: "auto" }, card.summary),
      pairs(lines(card))))));
};

function pairs(lines) {
  return element("dl", {}, lines.map(([term, text]) => [element("dt", {}, term), element("dd", {}, name(text))]));
}

/* Nested values as lines: packages / torch. */
function flat(value, prefix) {
  return Object.entries(value).flatMap(([key, inner]) => {
    const term = prefix ? `${prefix} / ${key}` : key;
    return inner !== null && typeof inner === "object" ? flat(inner, term) : [[term, String(inner)]];
  });
}

REPORT.pages.origin = () => {
  const { runs, unavailable, suites, version } = REPORT.values.run;
  show(
    element("h1", {}, "Origin"),
    element("p", {}, "What these numbers were computed from and with."),
    pairs([...suites.map((suite) => [`suite ${suite.name}`, `${suite.title}, ${suite.clips} clips${suite.synthetic ? ", simulated" : ""}`]),
      ["these pages", `visaudio-bench ${version}`]]),
    runs.map((run) => [element("h2", {}, name(run.name)), pairs(flat(run.provenance, ""))]),
    element("h2", {}, "Cite"),
    element("p", {}, "The papers of metrics and systems are named in the tables' column help and on the page of systems; CITATION.cff of visaudio-bench says how to cite the benchmark."),
    Object.keys(unavailable).length ? [element("h2", {}, "Not computed"), pairs(Object.entries(unavailable))] : null);
};

REPORT.pages.failures = () => {
  const { failures } = REPORT.values.run;
  const fields = ["suite", "clip", "system", "stage", "reason", "message"];
  const cell = (failure, field) => element("td", { class: "left" },
    field === "clip" ? element("a", { href: address("clip", failure.suite, failure.clip) }, name(failure.clip)) : name(failure[field]));
  show(element("h1", {}, "Failures and remarks"),
    failures.length
      ? element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Failures" }, element("table", {},
        element("thead", {}, element("tr", {}, fields.map((field) => element("th", { scope: "col", class: "left" }, field)))),
        element("tbody", {}, failures.map((failure) => element("tr", {}, fields.map((field) => cell(failure, field)))))))
      : element("p", {}, "Nothing failed, and nothing was remarked."));
};

/* The manual page of a metric: the docstring of the module that computes it. */
REPORT.pages.manual = (page) => {
  const text = REPORT.values.run.manual[page];
  if (!text) throw new Error(`There is no manual page "${page}" in this report.`);
  const columns = Object.entries(REPORT.values.run.columns).filter(([, column]) => column.page === page);
  show(
    element("p", { class: "crumbs" }, element("a", { href: "#/tables" }, "Leaderboard")),
    element("h1", {}, name(page.split(".").pop().replaceAll("_", " "))),
    element("p", { class: "manual" }, text),
    element("h2", {}, "Columns"),
    pairs(columns.map(([key, column]) => [key, column.help])));
};

/* What changed from one run to the next, as bench diff tells it. */
REPORT.pages.changes = () => {
  const { changes } = REPORT.values.run;
  show(element("h1", {}, "Changes"), changes.map((change) => [
    element("h2", {}, name(change.first), " and then ", name(change.second)),
    change.tables.map((table) => table.rows.length
      ? tableView({ ...table, title: `${table.title} · ${change.first}, ${change.second}` }, true)
      : [element("h2", {}, table.title), table.notes.map((note) => element("p", { class: "note" }, note))])]));
};
