// The course of a session, what is kept of it, and its responses.
"use strict";

(function () {
  const survey = window.SURVEY;
  const server = window.SERVER;
  const store = "visaudio-bench/" + survey.study_id + "/" + survey.build;
  const screen = document.getElementById("screen");
  const checks = ["orientation", "antiphase", "huggins"];
  const compared = ["preference", "matching"].includes(survey.design); // one answer about two samples
  const together = compared || survey.design === "localisation"; // one answer a group, not one a sample
  const asked = survey.per_rater || survey.groups.length;
  const steps = ["welcome", "level", ...checks, "guide", ...(survey.training ? ["training"] : []),
    ...Array.from({ length: asked }, (_, k) => "group-" + k), "end"];
  let state = load() || fresh();
  let close = () => {};

  function h(tag, attributes, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) element.setAttribute(name, value);
    element.append(...children.map((child) => (child instanceof Node ? child : String(child))));
    return element;
  }

  function identifier(length) {
    const bytes = crypto.getRandomValues(new Uint8Array(length));
    return [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  }

  function fresh() {
    return { version: 1, session: identifier(8), rater: null, number: null, step: "welcome", device: "", checks: {},
      order: [], ratings: {}, played: {}, practice: { ratings: {}, played: {} }, finished: {}, sent: "" };
  }

  function load() {
    try {
      const kept = JSON.parse(localStorage.getItem(store));
      return kept && kept.version === 1 && steps.includes(kept.step) ? kept : null;
    } catch (error) {
      return null;
    }
  }

  function save() {
    try {
      localStorage.setItem(store, JSON.stringify(state));
    } catch (error) {
      announce("This browser does not keep answers; do not close or reload the page.");
    }
  }

  function announce(text) {
    document.getElementById("announce").textContent = text;
  }

  // A small seeded generator (mulberry32): the same rater number always gives the same order of groups.
  function generator(seed) {
    let a = seed >>> 0;
    return () => {
      a = (a + 0x6d2b79f5) >>> 0;
      let t = Math.imul(a ^ (a >>> 15), 1 | a);
      t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
  }

  // A rater's share of the groups, in an order of their own: raters one after the other are given the groups in turn, so
  // that every group is asked equally often.
  function groupOrder(number) {
    const random = generator(number + 1);
    const order = Array.from({ length: asked }, (_, k) => (number * asked + k) % survey.groups.length);
    for (let k = order.length - 1; k > 0; k--) {
      const other = Math.floor(random() * (k + 1));
      [order[k], order[other]] = [order[other], order[k]];
    }
    return order;
  }

  // Which sample stands in which slot: the design's rows rotate with the rater, so each rater sees each row.
  function slots(group, index) {
    const row = survey.rows[(state.number + index) % survey.rows.length];
    return row.map((system) => group.samples[system]);
  }

  function go(step) {
    close();
    close = () => {};
    Checks.stop();
    state.step = step;
    save();
    const at = steps.indexOf(step);
    const percent = Math.round((100 * at) / (steps.length - 1));
    const bar = document.querySelector(".progress");
    bar.setAttribute("aria-valuenow", percent);
    bar.firstElementChild.style.width = percent + "%";
    screen.replaceChildren();
    screen.className = step.startsWith("group-") || step === "training" ? "wide" : "narrow";
    screen.dataset.step = step;
    if (checks.includes(step)) check(step);
    else if (step.startsWith("group-")) group(Number(step.slice(6)));
    else ({ welcome, level, guide, training, end })[step]();
    window.scrollTo(0, 0);
  }

  const next = () => go(steps[steps.indexOf(state.step) + 1]);

  function heading(text) {
    const title = h("h1", { tabindex: "-1" }, text);
    screen.append(title);
    title.focus({ preventScroll: true });
  }

  function primary(text, action) {
    const button = h("button", { type: "button", class: "primary", id: "next" }, text);
    button.addEventListener("click", action);
    return button;
  }

  function welcome() {
    heading("Welcome");
    const samples = survey.rows[0].length;
    const given = new URLSearchParams(location.search).get("rater") || "";
    const agreed = h("input", { type: "checkbox", id: "consent" });
    const person = crowdPerson();
    const number = h("input", { type: "text", id: "rater", inputmode: "numeric", autocomplete: "off", value: given });
    const device = h("select", { id: "device" }, h("option", { value: "" }, "please choose"),
      ...survey.devices.map((name) => h("option", { value: name }, name)));
    const problem = h("p", { class: "note bad", role: "alert", hidden: "" });
    const contact = survey.contact ? " If you have questions: " + survey.contact + "." : "";
    screen.append(
      h("div", { class: "card" },
        h("p", { class: "note" }, h("strong", {}, "Please wear headphones on both ears.")),
        survey.design === "localisation" ? h("p", {}, "You will hear " + asked + (asked === 1 ? " sound" : " sounds")
          + ", one at a time. Your task: say where you hear each of them.")
        : h("p", {}, "You will watch " + asked + (compared ? " pair" : " group") + (asked === 1 ? "" : "s") + " of videos with sound. In each you see the same video "
          + (samples === 2 ? "twice" : samples + " times") + ", each time with another sound. Your task: watch and listen to all of them, then "
          + (survey.design === "mushra" ? "compare each sound with a reference, from 0 to 100."
            : survey.design === "rating" ? "rate each sound from 1 to 5 on " + survey.dimensions.length + " questions (1 = worst, 5 = best)."
            : survey.design === "matching" ? "say which of the two sounds was made for the video."
            : "say which of the two sounds you would rather have for the video.")),
        h("p", {}, "Before that, short checks make sure that your headphones work and are worn the right way round. "
          + "You can stop at any time, close the page, and go on later in the same browser."),
        h("p", { id: "minutes" }, "It takes about " + survey.minutes + (survey.minutes === 1 ? " minute." : " minutes."))),
      h("div", { class: "card" },
        h("h2", {}, "Your data"),
        ...survey.consent.split(/\n\s*\n/).filter((text) => text).map((text) => h("p", { class: "consent" }, text)),
        h("p", {}, (survey.consent ? "" : "Taking part is voluntary. ") + "Your ratings, the outcome of the checks, the kind of headphones and the times are recorded "
          + "under a number or a random code, without your name or address, and are used for research and published in that form." + contact),
        h("label", { class: "check" }, agreed, h("span", {}, "I have read this, I am at least 18 years old, and I want to take part.")),
        server || person ? "" : h("label", { class: "field" }, "Participant number, if you were given one", number),
        h("label", { class: "field" }, "What do you listen with?", device),
        problem,
        h("div", { class: "row-of-buttons" }, primary("Start", start))));

    async function start() {
      problem.hidden = true;
      const typed = number.value.trim();
      if (!agreed.checked) return tell("Please tick the box if you want to take part.", agreed);
      if (!device.value) return tell("Please choose what you listen with.", device);
      if (typed && !/^[0-9]{1,6}$/.test(typed)) return tell("The participant number has up to six digits; leave it empty if you have none.", number);
      state.device = device.value;
      if (server) {
        try {
          const answer = await fetch(server.rater, { method: "POST" });
          if (!answer.ok) throw new Error(String(answer.status));
          state.number = (await answer.json()).rater;
        } catch (error) {
          return tell("The server does not answer. Please tell whoever runs the test.", device);
        }
        state.rater = "R" + String(state.number).padStart(2, "0");
      } else if (typed) {
        state.number = Number(typed);
        state.rater = "R" + typed.padStart(2, "0");
      } else {
        state.number = crypto.getRandomValues(new Uint32Array(1))[0] % 100000;
        state.rater = "x" + identifier(4);
      }
      if (person) state.rater = person;
      state.order = groupOrder(state.number);
      next();
    }
    function tell(text, where) {
      problem.textContent = text;
      problem.hidden = false;
      where.focus();
    }
  }

  // Who Prolific says this is, in the address of the page.
  function crowdPerson() {
    const given = new URLSearchParams(location.search).get("PROLIFIC_PID") || "";
    return survey.crowd && survey.crowd.service === "prolific" && /^[A-Za-z0-9]{1,64}$/.test(given) ? given : "";
  }

  // What a crowd service wants to be told at the end.
  function completion() {
    if (!survey.crowd) return "";
    const code = survey.crowd.code || state.session;
    const link = survey.crowd.link ? h("p", {}, h("a", { href: survey.crowd.link, id: "back" }, "Back to the service")) : "";
    return h("div", { class: "card", id: "completion" }, h("p", {}, "Your completion code: ", h("strong", { id: "code" }, code)), link);
  }

  function level() {
    heading("Set the volume");
    const listen = h("button", { type: "button", id: "listen" }, "▶ Play noise");
    let playing = false;
    listen.addEventListener("click", () => {
      playing = !playing;
      listen.textContent = playing ? "❚❚ Stop" : "▶ Play noise";
      if (playing) Checks.play("level", true).catch(() => announce("This browser cannot play the sound."));
      else Checks.stop();
      go_on.disabled = false;
    });
    const go_on = primary("The volume is comfortable", next);
    go_on.disabled = true;
    screen.append(h("div", { class: "card" },
      h("p", {}, "Play the noise and turn the volume up or down until it is clearly heard and comfortable, like someone speaking to you."),
      h("p", {}, "Leave the volume as it is from then on. Switch off spatial audio, equalisers and other sound effects."),
      h("div", { class: "row-of-buttons" }, listen, go_on)));
  }

  function check(kind) {
    heading(Checks.kinds[kind].title);
    const card = h("div", { class: "card" });
    screen.append(card);
    const record = state.checks[kind] || (state.checks[kind] = { right: [], outcome: "none" });
    Checks.run(card, h, kind, (right) => {
      record.right.push(right);
      record.outcome = right >= Checks.kinds[kind].need ? "pass" : "fail";
      save();
      if (record.outcome === "pass") return next();
      const again = record.right.length < survey.checks.attempts;
      card.replaceChildren(
        h("p", { class: "note bad", id: "failed", role: "alert" }, Checks.advice(kind, right)),
        h("p", { class: "soft" }, right + " of " + survey.checks.trials + " were right; " + Checks.kinds[kind].need + " are needed."),
        h("div", { class: "row-of-buttons" },
          again ? primary("Try again", () => go(kind)) : "",
          again ? "" : primary("Go on; the failed check is recorded", next)));
      const button = card.querySelector("#next");
      button.focus();
    });
  }

  function guide() {
    heading("What to rate");
    screen.append(h("div", { class: "card" }, h("dl", { class: "guide" },
      ...survey.dimensions.flatMap((dimension) => [
        h("dt", {}, dimension.title + " (" + dimension.key + ")"),
        h("dd", {}, dimension.question, ...(dimension.anchors.length
          ? [h("ol", {}, ...dimension.anchors.map((text) => h("li", {}, text)))] : [" For example: " + dimension.example])),
      ])),
    h("p", { class: "note" }, survey.training ? "First comes a group to practise on; its ratings are not recorded." : "The first group comes now."),
    h("div", { class: "row-of-buttons" }, primary("Start survey", next))));
  }

  function training() {
    rateGroup("Practice", survey.training, [...survey.training.samples], state.practice, () => next());
  }

  function group(place) {
    const index = state.order[place];
    const own = survey.groups[index];
    rateGroup((together ? "Question " : "Group ") + (place + 1) + " of " + asked, own, slots(own, index), state, () => {
      state.finished[own.id] = new Date().toISOString();
      next();
    });
  }

  // How much was played, by code; where a sample is in several pairs it is to be played in each.
  function playedIn(kept, own) {
    if (!together) return kept.played;
    return kept.played[own.id] || (kept.played[own.id] = {});
  }

  function rateGroup(title, own, samples, kept, done) {
    heading(title);
    const todo = h("p", { class: "soft", id: "todo" });
    const button = primary("Next", () => {
      const open = shown.missing();
      if (!open.unheard.length && !open.unrated) return done();
      announce(todo.textContent);
      return open.mark();
    });
    const shown = Group.show(screen, h, { id: own.id, samples, reference: own.reference, caption: own.caption, ratings: kept.ratings, played: playedIn(kept, own), onChange });
    close = shown.close;
    screen.append(h("div", { class: "card" }, todo, h("div", { class: "row-of-buttons" }, button)));
    onChange();

    function onChange() {
      const open = shown.missing();
      const parts = [];
      if (open.unheard.length) parts.push("play to the end: " + open.unheard.join(", "));
      if (open.unrated) parts.push(open.unrated + (together ? " answer" : " rating") + (open.unrated === 1 ? " is" : "s are") + " missing");
      todo.textContent = parts.length ? "Still to do: " + parts.join("; ") + "." : "All done; go on when you are sure.";
      button.setAttribute("aria-disabled", parts.length ? "true" : "false");
      save();
    }
  }

  function rows() {
    const outcome = (kinds) => {
      const found = kinds.map((kind) => (state.checks[kind] || { outcome: "none" }).outcome);
      return found.every((one) => one === "pass") ? "pass" : found.includes("fail") ? "fail" : "none";
    };
    const same = { study_id: survey.study_id, session_id: state.session, rater_id: state.rater, suite: survey.suite,
      headphone_check: outcome(["antiphase", "huggins"]), lr_check: outcome(["orientation"]), listening_device: state.device,
      tool: "visaudio-bench survey", tool_version: survey.tool_version };
    const out = [];
    state.order.forEach((index, place) => {
      const own = survey.groups[index];
      const shown = slots(own, index);
      const kept = (code) => state.ratings[together ? own.id : code] || {};
      // Where two are compared there is one row: the first, what it is compared with, and whether it is better.
      (compared ? shown.slice(0, 1) : shown).forEach((code, slot) => survey.dimensions.forEach((dimension) => {
        const rating = kept(code)[dimension.key];
        if (!rating) return;
        const heard = playedIn(state, own)[code];
        const row = { ...same, group_id: own.id, clip_id: own.clip, system: code, slot: slot + 1, group_order: place + 1,
          dimension: dimension.key, rating: rating.value, played_ratio: heard.ratio.toFixed(3), n_plays: heard.n,
          rating_ms: rating.ms, compared_with: compared ? shown[1] : "", timestamp_utc: state.finished[own.id] || "" };
        out.push(survey.columns.map((name) => (row[name] === undefined ? "" : row[name])));
      }));
    });
    return out;
  }

  function csv() {
    const field = (value) => (/[",\r\n]/.test(value) ? '"' + String(value).replace(/"/g, '""') + '"' : String(value));
    return [survey.columns, ...rows()].map((row) => row.map(field).join(",")).join("\n") + "\n";
  }

  function end() {
    heading("Thank you");
    const address = server ? server.post : survey.post;
    const outcome = h("p", { class: "note", id: "sent", role: "status" }, address ? "Sending your answers …" : "Please save your answers and give the file to whoever asked you.");
    const link = h("button", { type: "button", class: address ? "" : "primary", id: "download" }, "Save my answers as a file");
    link.addEventListener("click", () => {
      const blob = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
      const anchor = h("a", { href: blob, download: survey.study_id + "_" + state.rater + "_responses.csv" });
      document.body.append(anchor);
      anchor.click();
      anchor.remove();
      setTimeout(() => URL.revokeObjectURL(blob), 10000);
    });
    const again = h("button", { type: "button", id: "restart" }, "Next participant on this device");
    again.addEventListener("click", () => {
      if (!window.confirm("Start again? Save the answers first; they are then removed from this browser.")) return;
      state = fresh();
      go("welcome");
    });
    screen.append(h("div", { class: "card" }, outcome, h("div", { class: "row-of-buttons" }, link, survey.crowd ? "" : again)));
    if (!address) screen.append(completion());
    else send(address, outcome).then((arrived) => { if (arrived) screen.append(completion()); });
  }

  async function send(address, outcome) {
    const tell = (text, mood) => {
      outcome.textContent = text;
      outcome.className = "note " + mood;
      return mood === "good";
    };
    if (state.sent) return tell("Your answers have arrived. You can close this page.", "good");
    try {
      const answer = await fetch(address, { method: "POST", headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ columns: survey.columns, rows: rows() }) });
      const text = await answer.text();
      if (!answer.ok && !(answer.status === 409 && text.includes("session"))) throw new Error(answer.status + " " + text);
      state.sent = new Date().toISOString();
      save();
      return tell("Your answers have arrived. You can close this page.", "good");
    } catch (error) {
      return tell("Sending failed (" + error.message + "). Please save your answers as a file.", "bad");
    }
  }

  go(state.step);
})();
