/* One clip: every sound runs at the same position and all but one are muted, so that switching takes no time. */
"use strict";

const NEAR = 0.004; /* s: as good as together */
const DRIFT = 0.03; /* s: a sound that is further off when it is switched to is put where the old one is */
const FAR = 0.5; /* s: what is muted catches up by playing faster or slower, beyond this by seeking */

class Player {
  constructor(folder, clip, changed) {
    this.seconds = clip.seconds;
    this.changed = changed;
    this.playing = false;
    this.audios = Object.fromEntries(Object.entries(clip.sounds).map(([system, sound]) => [system,
      element("audio", { src: folder + sound.file, preload: "auto", "data-system": system })]));
    this.systems = Object.keys(this.audios);
    this.video = clip.video ? element("video", { src: folder + clip.video.file, preload: "auto", playsinline: true, tabindex: "-1", "aria-hidden": "true" }) : null;
    if (this.video) this.video.muted = true;
    for (const audio of Object.values(this.audios)) {
      audio.muted = true;
      audio.addEventListener("ended", () => audio === this.current && this.again());
    }
    for (const one of this.media) one.addEventListener("loadedmetadata", () => readWhole(one), { once: true });
    this.loop = true;
    this.select(this.systems[0]); /* the reference, where there is one */
  }

  get current() { return this.audios[this.system]; }
  get position() { return this.current ? this.current.currentTime : 0; }
  get media() { return [...Object.values(this.audios), ...(this.video ? [this.video] : [])]; }

  select(system) {
    const before = this.current;
    this.system = system;
    const after = this.current;
    if (!after) return;
    if (before && before !== after) {
      const at = before.currentTime;
      if (Math.abs(after.currentTime - at) > DRIFT) after.currentTime = Math.min(at, after.duration || at);
      if (this.playing && after.paused && !after.ended) after.play().catch(() => {});
      before.muted = true;
    }
    after.playbackRate = 1;
    after.muted = false;
    this.changed();
  }

  async play() {
    if (!this.current) return;
    if (this.position >= this.seconds - 0.01) this.seek(0);
    this.playing = true;
    this.changed();
    const at = this.position;
    for (const one of this.media) {
      if (one !== this.current && Math.abs(one.currentTime - at) > DRIFT) one.currentTime = at;
    }
    await Promise.all(this.media.map((one) => one.play().catch(() => {})));
  }

  pause() {
    this.playing = false;
    for (const one of this.media) one.pause();
    this.seek(this.position);
    this.changed();
  }

  toggle() { if (this.playing) this.pause(); else this.play(); }

  seek(seconds) {
    const at = Math.max(0, Math.min(seconds, this.seconds - 0.001));
    for (const one of this.media) one.currentTime = Math.min(at, one.duration || at);
  }

  again() {
    if (!this.loop) { this.pause(); return; }
    this.seek(0);
    this.play();
  }

  /* Called with every picture of the screen: what is muted is drawn to the position of what is heard, without a gap. */
  tick() {
    if (!this.playing) return;
    for (const one of this.media) {
      if (one === this.current || one.seeking || one.ended) continue;
      const behind = this.position - one.currentTime;
      if (Math.abs(behind) > FAR) one.currentTime = Math.min(this.position, one.duration || this.position);
      else one.playbackRate = Math.abs(behind) < NEAR ? 1 : 1 + Math.max(-0.4, Math.min(0.4, 4 * behind));
    }
  }

  close() {
    for (const one of this.media) { one.pause(); one.removeAttribute("src"); one.load(); }
  }
}

/* Where a host does not answer requests for parts of files nobody can seek: such files are read as a whole. */
async function readWhole(media) {
  const end = media.seekable.length ? media.seekable.end(media.seekable.length - 1) : 0;
  if (location.protocol === "file:" || end > 0) return;
  try {
    const answer = await fetch(media.src);
    media.src = URL.createObjectURL(await answer.blob());
  } catch { /* it plays from the start only */ }
}

REPORT.pages.clip = async (suiteName, id) => {
  const { suites } = REPORT.values.run;
  const number = suites.findIndex((suite) => suite.name === suiteName);
  if (number < 0) throw new Error(`There is no suite "${suiteName}" in this report.`);
  const scores = await REPORT.scores(number);
  const place = scores.clips.findIndex((clip) => clip.id === id);
  const entry = scores.clips[place];
  if (!entry?.key) throw new Error(`There is no page of clip "${id}" in this report.`);
  const clip = await REPORT.clip(entry.key);
  clipView(suites[number], scores, place, clip, `media/${entry.key}/`);
};

const clock = (seconds) => `${seconds.toFixed(2)} s`;

function clipView(suite, scores, place, clip, folder) {
  const title = (system) => scores.systems.find((one) => one.name === system)?.title || system;
  const buttons = {};
  const view = {};
  const refresh = () => view.changed?.();
  const player = new Player(folder, clip, refresh);
  const start = element("button", { id: "play", class: "primary", onclick: () => player.toggle() }, "Play");
  const slider = element("input", { type: "range", id: "position", min: 0, max: clip.seconds, step: 0.01, value: "0", "aria-label": "Position in seconds", oninput: () => player.seek(+slider.value) });
  const shownTime = element("output", { id: "time", "aria-live": "off" }, clock(0));
  const loop = element("input", { type: "checkbox", checked: true, onchange: () => { player.loop = loop.checked; } });
  player.systems.forEach((system, at) => {
    buttons[system] = element("button", { class: "sound", "aria-pressed": "false", "data-system": system, onclick: () => player.select(system) },
      at < 9 ? element("kbd", {}, String(at + 1)) : null, " ", name(title(system)));
  });
  const strips = element("div", { class: "strips" });
  const curves = curvesOf(clip, () => player.system, title);
  const trial = abx(player, title, () => { strips.hidden = bar.hidden = Boolean(trial.running); view.changed(); });
  const bar = element("div", { class: "sounds", role: "group", "aria-label": "Which sound is heard" }, Object.values(buttons));
  const neighbours = [place - 1, place + 1].map((other, at) => {
    const to = scores.clips[other];
    return to?.key ? element("a", { href: address("clip", suite.name, to.id) }, at ? "next clip →" : "← previous clip") : null;
  });
  let drawn = null;
  view.changed = () => {
    start.textContent = player.playing ? "Pause" : "Play";
    for (const [system, button] of Object.entries(buttons)) button.setAttribute("aria-pressed", String(system === player.system));
    if (drawn !== player.system) {
      drawn = player.system;
      strips.replaceChildren(...stripViews(clip, player.system, title, folder, curves, (seconds) => player.seek(seconds)));
      for (const { box } of curves) if (box.data) box.redraw();
    }
  };
  show(
    element("p", { class: "crumbs" }, element("a", { href: "#/clips" }, "Clips"), " · ", name(suite.title), " ", neighbours[0], " ", neighbours[1]),
    element("h1", {}, name(clip.id)),
    clip.caption ? element("p", { class: "caption", dir: "auto" }, clip.caption) : null,
    clip.problems.length ? element("div", { role: "note", class: "problems" }, clip.problems.map((problem) => element("p", { dir: "auto" }, problem))) : null,
    player.systems.length ? element("div", { class: "stage" },
      player.video,
      element("div", { class: "transport" }, start, slider, shownTime, element("label", {}, loop, " repeat")),
      bar,
      element("p", { class: "note" }, element("kbd", {}, "Space"), " plays, ", element("kbd", {}, "1"), "–", element("kbd", {}, "9"), " switch, ",
        element("kbd", {}, "R"), " the reference, ", element("kbd", {}, "←"), " ", element("kbd", {}, "→"), " move by a second. Levels are as the systems made them."),
      trial.view) : element("p", {}, "There is no sound of this clip."),
    strips,
    scoreTable(scores, place),
    element("h2", {}, "How each sound was made"),
    element("div", { class: "cards" }, player.systems.map((system) => madeView(clip.sounds[system], title(system), folder, `${clip.id}.${system}.flac`))),
  );
  view.changed();

  const keys = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("select, input[type=search], textarea")) return;
    const digit = /^Digit([1-9])$/.exec(event.code)?.[1];
    const reference = player.systems.includes("reference") ? "reference" : null;
    if (event.code === "Space" && !event.target.closest("button, a, summary, input")) player.toggle();
    else if (digit && !trial.running && player.systems[digit - 1]) player.select(player.systems[digit - 1]);
    else if (event.code === "KeyR" && reference && !trial.running) player.select(reference);
    else if (event.code === "ArrowLeft" && event.target !== slider) player.seek(player.position - 1);
    else if (event.code === "ArrowRight" && event.target !== slider) player.seek(player.position + 1);
    else if (trial.running && trial.key(event.code)) { /* it has been dealt with */ } else return;
    event.preventDefault();
  };
  let frame = 0;
  const tick = () => {
    player.tick();
    const at = player.position;
    strips.style.setProperty("--at", `${(100 * at) / (clip.seconds || 1)}%`);
    if (document.activeElement !== slider || player.playing) slider.value = at;
    slider.setAttribute("aria-valuetext", clock(at));
    shownTime.textContent = `${clock(at)} / ${clock(clip.seconds)}`;
    frame = requestAnimationFrame(tick);
  };
  document.addEventListener("keydown", keys);
  document.addEventListener("leave", () => {
    document.removeEventListener("keydown", keys);
    cancelAnimationFrame(frame);
    player.close();
  }, { once: true });
  tick();
  REPORT.player = player; /* what tests look at */
}

const CUES = [["side", 1, "", "Lateralisation"], ["ild", 20, " dB", "Level difference"], ["itd", 800, " µs", "Time difference"]];
const referenceOf = (clip, system) => (system === "reference" ? null : clip.sounds.reference);

/* Curves of whatever is `heard`, each drawn again when that changes. */
function curvesOf(clip, heard, title) {
  const lines = (key) => () => {
    const [system, reference] = [heard(), referenceOf(clip, heard())];
    return [
      ...(key === "side" ? clip.labels.map((source) => ({ kind: "true", text: `labelled direction of ${source.words}`, values: source.side })) : []),
      ...(reference ? [{ kind: "reference", text: "reference", values: reference.cues[key] }] : []),
      { kind: "own", text: title(system), values: clip.sounds[system].cues[key] },
    ];
  };
  return CUES.map(([key, range, unit, words]) => ({
    label: [words, element("small", {}, `left +${range}${unit} to right`)],
    box: timeCurve(lines(key), range, unit, clip.segments, clip.seconds, words),
  }));
}

/* Pictures and curves on one time axis. Pressing them seeks. */
function stripViews(clip, system, title, folder, curves, seek) {
  const sound = clip.sounds[system];
  if (!sound) return [];
  const reference = referenceOf(clip, system);
  const strip = (label, content, kind) => {
    const area = element("div", { class: `strip ${kind}`, onclick: (event) => {
      const box = area.getBoundingClientRect();
      seek(((event.clientX - box.left) / box.width) * clip.seconds);
    } }, content, element("div", { class: "head", "aria-hidden": "true" }));
    return [element("div", { class: "axis" }, label), area];
  };
  const shown = (one, text) => element("img", { src: folder + one.picture, alt: `Spectrogram and waveform of the left ear above those of the right: ${text}`, width: 640, height: 192 });
  return [
    ...strip([name(title(system)), element("small", {}, "left ear, right ear mirrored; 60 Hz to 16 kHz")], shown(sound, title(system)), "picture"),
    ...(reference ? strip(["Reference", element("small", {}, "at the same scale")], shown(reference, "reference"), "picture") : []),
    ...curves.flatMap(({ label, box }) => strip(label, box, "curve")),
    element("div", { class: "axis" }),
    element("div", { class: "legend" },
      element("span", { class: "own" }, name(title(system))),
      reference ? element("span", { class: "reference" }, "reference") : null,
      clip.labels.length ? element("span", { class: "true" }, "labelled direction (sine of the lateral angle)") : null),
  ];
}

function scoreTable(scores, place) {
  const systems = scores.systems;
  return element("section", {},
    element("h2", {}, "Scores of this clip"),
    element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Scores of this clip" }, element("table", {},
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "system"),
        scores.metrics.map((metric) => element("th", { scope: "col", title: metric.description }, metric.heading, element("small", {}, metric.unit))))),
      element("tbody", {}, systems.map((system) => element("tr", {}, element("th", { scope: "row" }, name(system.title)),
        scores.metrics.map((metric, number) => element("td", {}, format(scores.values[system.name]?.[number]?.[place], metric.digits)))))))),
    scores.flags.filter((flag) => flag.clip === place).map((flag) => element("p", { class: "note", dir: "auto" }, `${flag.system ? `${flag.system}: ` : ""}${flag.message}`)));
}

function madeView(sound, title, folder, file) {
  const lines = flat(sound.made, "");
  if (sound.turned_down) lines.push(["turned down here", `${sound.turned_down} dB, both ears alike, to fit 16 bits`]);
  return element("section", { class: "card" },
    element("h3", {}, name(title)),
    element("p", {}, element("a", { href: folder + sound.file, download: file }, "Download"), ` (FLAC, 44.1 kHz, ${sound.seconds} s)`),
    lines.length ? element("details", {}, element("summary", {}, "Record"), pairs(lines)) : null);
}

/* A blind comparison: X is A or B, by a coin. */
function abx(player, title, changed) {
  const trial = { running: null, right: 0, done: 0 };
  const pick = (label, at) => element("label", {}, label, " ", element("select", {}, player.systems.map((system, place) => element("option", { value: system, selected: place === at }, title(system)))));
  const [first, second] = [pick("A", 0), pick("B", Math.min(1, player.systems.length - 1))];
  const said = element("p", { role: "status" });
  const letters = element("div", { class: "sounds", role: "group", "aria-label": "Blind comparison", hidden: true });
  const begin = element("button", { class: "begin", onclick: () => (trial.running ? end() : start()) }, "Start");
  const toss = () => { trial.running.X = trial.running[Math.random() < 0.5 ? "A" : "B"]; hear("X"); };
  const hear = (letter) => {
    player.select(trial.running[letter]);
    for (const button of letters.querySelectorAll("[data-letter]")) button.setAttribute("aria-pressed", String(button.dataset.letter === letter));
  };
  const answer = (letter) => {
    trial.done += 1;
    trial.right += trial.running[letter] === trial.running.X;
    said.textContent = `${trial.right} of ${trial.done} right; by guessing alone, so many or more happen with probability ${guessing(trial.right, trial.done).toFixed(3)}`;
    toss();
  };
  const start = () => {
    const [a, b] = [first, second].map((label) => label.querySelector("select").value);
    if (a === b) { said.textContent = "A and B are the same sound; choose two."; return; }
    Object.assign(trial, { running: { A: a, B: b, X: a }, right: 0, done: 0 });
    said.textContent = "Which one is X? Names and pictures are hidden meanwhile.";
    letters.hidden = false;
    first.hidden = second.hidden = true;
    begin.textContent = "End";
    changed();
    toss();
    player.play();
  };
  const end = () => {
    trial.running = null;
    letters.hidden = true;
    first.hidden = second.hidden = false;
    begin.textContent = "Start";
    changed();
  };
  letters.append(
    ...["A", "B", "X"].map((letter) => element("button", { "aria-pressed": "false", "data-letter": letter, onclick: () => hear(letter) }, letter)),
    ...["A", "B"].map((letter) => element("button", { "data-answer": letter, onclick: () => answer(letter) }, `X is ${letter}`)));
  trial.key = (code) => {
    const letter = { KeyA: "A", KeyB: "B", KeyX: "X" }[code];
    if (letter) hear(letter);
    return Boolean(letter);
  };
  trial.view = element("details", { class: "abx" }, element("summary", {}, "Blind comparison (A/B/X)"),
    element("div", { class: "controls" }, first, second, begin), letters, said);
  return trial;
}

/* P(at least `right` of `done`) of a fair coin. */
function guessing(right, done) {
  let term = 0.5 ** done;
  let sum = 0;
  for (let k = 0; k <= done; k += 1) {
    if (k >= right) sum += term;
    term *= (done - k) / (k + 1);
  }
  return Math.min(1, sum);
}
