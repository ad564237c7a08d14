/* What all pages share: making elements, waiting for data, finding the page of an address. */
"use strict";

/* Text of data enters a page here alone, as text: nothing in it is ever read as markup. */
function element(name, properties, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties || {})) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (key === "value") made.value = value;
    else made.setAttribute(key, value === true ? "" : value);
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined) made.append(child);
  }
  return made;
}

/* A name from data, kept from turning the direction of the text around it. */
const name = (text) => element("bdi", {}, text);

const REPORT = {
  pages: {},
  values: {},
  waiting: {},
  /* Scripts with data call this. */
  add(key, value) {
    this.values[key] = value;
    (this.waiting[key] || []).forEach((tell) => tell(value));
    delete this.waiting[key];
    if (key === "run") start();
  },
  /* The value of a script with data, which is loaded when it is first asked for. */
  get(key, source) {
    if (key in this.values) return Promise.resolve(this.values[key]);
    return new Promise((resolve, reject) => {
      const first = !(key in this.waiting);
      (this.waiting[key] ||= []).push(resolve);
      if (first) {
        const fail = () => { delete this.waiting[key]; reject(new Error(`${source} cannot be read`)); };
        document.head.append(element("script", { src: source, onerror: fail }));
      }
    });
  },
  scores(number) {
    return stillAsked(this.get(`scores-${number}`, `data/scores-${number}.js`));
  },
  clip(key) {
    return stillAsked(this.get(key, `media/${key}/clip.js`));
  },
};

/* A page that waits for data and is left meanwhile goes on waiting: it must not take the place of the one that is open. */
async function stillAsked(data) {
  const asked = location.hash;
  const value = await data;
  return location.hash === asked ? value : new Promise(() => {});
}

/* What the reader chose is kept while the page is open. */
const chosen = {};

function choice(key, label, options, change) {
  if (!options.some(([value]) => value === chosen[key])) chosen[key] = options[0][0];
  const select = element("select", { onchange: () => { chosen[key] = select.value; change(); } },
    options.map(([value, text]) => element("option", { value, selected: value === chosen[key] }, text)));
  return element("label", {}, label, " ", select);
}

function search(key, label, change) {
  const input = element("input", { type: "search", value: chosen[key] || "", oninput: () => { chosen[key] = input.value; change(); } });
  return element("label", {}, label, " ", input);
}

const matches = (text, words) => (words || "").toLowerCase().split(/\s+/).every((word) => text.toLowerCase().includes(word));

const missing = "–";

function format(value, digits) {
  return value === null || value === undefined ? missing : value.toFixed(digits);
}

/* Values that do not exist come last, whichever way a column is sorted. */
function order(values, down) {
  const places = values.map((_, place) => place);
  const empty = (value) => value === null || value === undefined || value === "";
  return places.sort((a, b) => {
    const [x, y] = [values[a], values[b]];
    if (empty(x) || empty(y)) return empty(x) - empty(y) || a - b;
    const less = typeof x === "string" ? x.localeCompare(y, undefined, { numeric: true }) : x - y;
    return (down ? -less : less) || a - b;
  });
}

/* A heading that sorts: a button in a th with aria-sort. `meaning` is shown while it is pointed at or has the focus. */
function heading(label, state, key, first, change, properties, meaning) {
  const down = state.key === key ? state.down : null;
  const press = () => {
    if (state.key !== key) Object.assign(state, { key, down: first });
    else if (state.down === first) state.down = !first;
    else Object.assign(state, { key: null, down: false });
    change(key);
  };
  const sorted = down === null ? "none" : down ? "descending" : "ascending";
  const button = element("button", { class: "sort", onclick: press, "data-key": key }, label);
  if (meaning) explain(button, meaning);
  return element("th", { scope: "col", "aria-sort": sorted, ...properties }, button);
}

/* A bubble of text below an element that is pointed at or has the focus; Escape takes it away. */
const bubble = element("div", { role: "tooltip", id: "meaning", class: "bubble", hidden: true });

function openBubble(text, left, top) {
  bubble.textContent = text;
  bubble.hidden = false;
  if (!bubble.isConnected) document.body.append(bubble);
  const most = document.documentElement.clientWidth - bubble.offsetWidth - 8;
  bubble.style.left = `${Math.max(8, Math.min(left, most))}px`;
  bubble.style.top = `${top}px`;
}

function explain(target, text) {
  const open = () => {
    const box = target.getBoundingClientRect();
    openBubble(text, box.left, box.bottom + 6);
    target.setAttribute("aria-describedby", bubble.id);
  };
  for (const event of ["mouseenter", "focus"]) target.addEventListener(event, open);
  for (const event of ["mouseleave", "blur"]) target.addEventListener(event, closeBubble);
}

function closeBubble() { bubble.hidden = true; }

document.addEventListener("keydown", (event) => { if (event.key === "Escape") closeBubble(); });
document.addEventListener("scroll", closeBubble, true);

function show(...children) {
  document.getElementById("main").replaceChildren(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
}

const address = (...parts) => "#/" + parts.map(encodeURIComponent).join("/");

function route() {
  const parts = location.hash.replace(/^#\/?/, "").split("/").map((part) => {
    try { return decodeURIComponent(part); } catch { return part; }
  });
  const page = REPORT.pages[parts[0]] ? parts[0] : "tables";
  for (const link of document.querySelectorAll("nav a")) {
    const here = link.getAttribute("href") === `#/${page}` || (page === "clip" && link.getAttribute("href") === "#/clips");
    if (here) link.setAttribute("aria-current", "page"); else link.removeAttribute("aria-current");
  }
  document.dispatchEvent(new Event("leave"));
  closeBubble();
  document.title = `${REPORT.values.run.title} · ${page}`;
  Promise.resolve(REPORT.pages[page](...parts.slice(1)))
    .catch((error) => show(element("p", { role: "alert" }, error.message)));
}

function start() {
  const run = REPORT.values.run;
  document.getElementById("title").textContent = run.title;
  document.querySelector("a[href='#/changes']").hidden = !run.changes.length;
  window.addEventListener("hashchange", () => { route(); window.scrollTo(0, 0); document.getElementById("main").focus({ preventScroll: true }); });
  route();
}
