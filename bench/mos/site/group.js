// One group: samples of one video side by side, rated on every dimension.
"use strict";

window.Group = (function () {
  const COMPLETE = 0.98;

  function covered(video) {
    let seconds = 0;
    for (let k = 0; k < video.played.length; k++) seconds += video.played.end(k) - video.played.start(k);
    return video.duration ? seconds / video.duration : 0;
  }

  // What is asked below the videos, by design.
  const tasks = {
    rating: "The picture is the same; the sound differs. Play every video to the end, then rate each sound from 1 (worst) to 5 (best).",
    mushra: "The picture is the same; the sound differs. Play the reference and every video to the end, then say how good each sound is compared with the reference, from 0 to 100.",
    localisation: "Close your eyes if you like: the picture is hidden. Play the sound to the end, then say where you heard it.",
    matching: "The picture is the same; one sound was made for this video, the other for another one. Play both videos to the end, then say which sound belongs to the video.",
    preference: "The picture is the same; the sound differs. Play both videos to the end, then say which sound you would rather have.",
  };
  const choices = [[1, "Video 1"], ...(window.SURVEY.design === "preference" ? [[0, "No difference"]] : []), [-1, "Video 2"]];

  // spec: {id, samples: [code], caption, ratings, played, onChange}; ratings are kept by code, or by id where two are
  // compared, played by code; both are filled here.
  function show(root, h, spec) {
    const survey = window.SURVEY;
    const began = performance.now();
    const rated = spec.samples.map((code, slot) => player(code, slot));
    // A reference that is named stands before the others and is not rated.
    const players = spec.reference ? [player(spec.reference, null), ...rated] : rated;
    const together = h("input", { type: "checkbox", id: "together" });
    let position = 0;

    function player(code, slot) {
      const name = slot === null ? "Reference" : survey.design === "localisation" ? "Sound" : "Video " + (slot + 1);
      const video = h("video", { src: "media/" + code + ".mp4", preload: "auto", playsinline: "", tabindex: "-1", "aria-hidden": "true" });
      const fill = h("span");
      const button = h("button", { type: "button", class: "play", "data-slot": slot === null ? 0 : slot + 1 }, "▶ " + name);
      const state = h("p", { class: "state" });
      const figure = h("figure", { class: survey.design === "localisation" ? "player hidden-picture" : "player" }, video, h("div", { class: "bar" }, fill), button, state);
      const own = { code, name, video, button, state, figure };
      const heard = spec.played[code] || (spec.played[code] = { ratio: 0, n: 0 });

      function tell() {
        const done = heard.ratio >= COMPLETE;
        const playing = !video.paused && !video.ended;
        figure.classList.toggle("playing", playing);
        button.textContent = (playing ? "❚❚ " : "▶ ") + name;
        button.setAttribute("aria-label", (playing ? "Pause " : "Play ") + name);
        state.className = done ? "state done" : "state";
        state.textContent = done ? "✓ played to the end" : playing ? "playing" : heard.ratio > 0 ? "not yet played to the end" : "not yet played";
      }
      video.addEventListener("timeupdate", () => {
        position = video.currentTime;
        fill.style.width = (100 * video.currentTime / (video.duration || 1)) + "%";
        heard.ratio = Math.max(heard.ratio, Math.min(1, covered(video)));
      });
      ["play", "pause", "ended"].forEach((event) => video.addEventListener(event, () => {
        if (event === "play") heard.n += 1;
        heard.ratio = Math.max(heard.ratio, Math.min(1, covered(video)));
        tell();
        spec.onChange();
      }));
      video.addEventListener("error", () => {
        state.className = "state";
        state.textContent = "This browser cannot play the video. Use a current Firefox, Chrome, Edge or Safari.";
      });
      video.addEventListener("click", () => toggle(players.indexOf(own)));
      button.addEventListener("click", () => toggle(players.indexOf(own)));
      tell();
      return own;
    }

    function toggle(slot) {
      const chosen = players[slot];
      if (!chosen) return;
      if (!chosen.video.paused && !chosen.video.ended) {
        chosen.video.pause();
        return;
      }
      const moment = together.checked && players.some((other) => other !== chosen && !other.video.paused) ? position : null;
      players.forEach((other) => { if (other !== chosen) other.video.pause(); });
      if (moment !== null) chosen.video.currentTime = moment;
      chosen.video.play().catch(() => {});
      const strip = chosen.figure.parentElement;
      strip.scrollTo({ left: chosen.figure.offsetLeft - (strip.clientWidth - chosen.figure.clientWidth) / 2, behavior: "smooth" });
    }

    function rate(code, key, value) {
      const rating = spec.ratings[code] || (spec.ratings[code] = {});
      rating[key] = { value, ms: Math.round(performance.now() - began) };
      spec.onChange();
    }

    function jumpTo(own) {
      const jump = h("button", { type: "button", class: "name", tabindex: "-1", "aria-hidden": "true" }, "▶ " + own.name);
      jump.addEventListener("click", () => toggle(players.indexOf(own)));
      return jump;
    }

    // One of the answers of a line.
    function option(line, id, dimension, value, attributes) {
      const chosen = (spec.ratings[id] || {})[dimension.key];
      const input = h("input", { type: "radio", value, ...attributes });
      input.checked = Boolean(chosen) && chosen.value === value;
      input.addEventListener("change", () => { line.classList.remove("missing"); rate(id, dimension.key, value); });
      return input;
    }

    // A question that has the page's whole width.
    function wholeCard(dimension, ...parts) {
      return h("fieldset", { class: "dimension whole" }, h("legend", {}, dimension.title), h("p", {}, dimension.question), ...parts);
    }

    function row(dimension, own) {
      const name = own.name + ", " + dimension.title;
      const group = "r-" + own.code + "-" + dimension.key;
      const line = h("div", { class: "rating", role: "radiogroup", "aria-label": name, "data-code": own.code, "data-dimension": dimension.key });
      const steps = h("div", { class: "steps" });
      for (let value = survey.scale[0]; value <= survey.scale[1]; value++) {
        const text = dimension.anchors[value - survey.scale[0]];
        const input = option(line, own.code, dimension, value, { name: group, "aria-label": value + ": " + text });
        steps.append(h("label", { title: text }, input, h("span", { "aria-hidden": "true" }, value)));
      }
      line.addEventListener("keydown", (event) => {
        const input = [...steps.querySelectorAll("input")].find((one) => one.value === event.key);
        if (!input || event.shiftKey || event.ctrlKey || event.metaKey || event.altKey) return;
        event.preventDefault();
        input.click();
        const all = [...root.querySelectorAll(".rating")];
        const after = all[all.indexOf(line) + 1];
        if (after) (after.querySelector("input:checked") || after.querySelector("input")).focus();
      });
      line.append(jumpTo(own), steps);
      return line;
    }

    function dimensionCard(dimension) {
      return h("fieldset", { class: "dimension" },
        h("legend", {}, dimension.title),
        h("p", {}, dimension.question),
        h("details", {}, h("summary", {}, "What 1 to 5 mean"),
          h("ol", {}, ...dimension.anchors.map((text) => h("li", {}, text))), h("p", {}, "For example: " + dimension.example)),
        h("div", { class: "ends", "aria-hidden": "true" }, h("span", {}, "worst"), h("span", {}, "best")),
        ...players.map((own) => row(dimension, own)));
    }

    // One question about both samples.
    function choiceCard(dimension) {
      const line = h("div", { class: "rating choice", role: "radiogroup", "aria-label": dimension.title, "data-code": spec.id, "data-dimension": dimension.key });
      const steps = h("div", { class: "steps words" });
      choices.forEach(([value, text]) => {
        steps.append(h("label", {}, option(line, spec.id, dimension, value, { name: "r-" + spec.id }), h("span", {}, text)));
      });
      line.append(steps);
      return wholeCard(dimension, line);
    }

    // A slider that counts as answered when it was touched; value and words are made of its position.
    function sliderInto(line, id, dimension, label, read, words) {
      const chosen = (spec.ratings[id] || {})[dimension.key];
      const told = h("output", {}, chosen ? words(chosen.value) : "not yet answered");
      const start = chosen ? read(chosen.value) : Math.round((survey.scale[0] + survey.scale[1]) / 2);
      const slider = h("input", { type: "range", class: "point", min: survey.scale[0], max: survey.scale[1], step: 1, value: start, "aria-label": label });
      if (chosen) line.classList.add("answered");
      ["input", "click", "keyup"].forEach((event) => slider.addEventListener(event, (happened) => {
        if (happened.type === "keyup" && happened.key === "Tab") return;
        const value = read(Number(slider.value));
        slider.setAttribute("aria-valuetext", words(value));
        told.textContent = words(value);
        line.classList.remove("missing");
        line.classList.add("answered");
        rate(id, dimension.key, value);
      }));
      return [slider, told];
    }

    // One question about where the sound is: a frontal slider, whose left end is 90 degrees left.
    function pointCard(dimension) {
      const line = h("div", { class: "rating choice", "data-code": spec.id, "data-dimension": dimension.key });
      const words = (value) => (value === 0 ? "straight ahead" : Math.abs(value) + "° " + (value > 0 ? "left" : "right"));
      const [slider, told] = sliderInto(line, spec.id, dimension, dimension.title, (value) => 0 - value, words);
      line.append(h("span", {}, "90° left"), slider, h("span", {}, "90° right"));
      return wholeCard(dimension, line, told);
    }

    // A slider for each sample, with the words of ITU-R BS.1534.
    function scaleCard(dimension) {
      const names = ["bad", "poor", "fair", "good", "excellent"];
      const words = (value) => value + ", " + names[Math.min(4, Math.max(0, Math.ceil(value / 20) - 1))];
      const lines = rated.map((own) => {
        const line = h("div", { class: "rating", "data-code": own.code, "data-dimension": dimension.key });
        line.append(jumpTo(own), ...sliderInto(line, own.code, dimension, own.name + ", " + dimension.title, (value) => value, words));
        return line;
      });
      return wholeCard(dimension, h("p", {}, dimension.example), ...lines);
    }

    // What is still to do, in words, and the first place where.
    function missing() {
      const unheard = players.filter((own) => spec.played[own.code].ratio < COMPLETE);
      const lines = [...root.querySelectorAll(".rating")].filter((line) => !line.querySelector("input:checked") && !line.classList.contains("answered"));
      return {
        unheard: unheard.map((own) => own.name),
        unrated: lines.length,
        mark() {
          lines.forEach((line) => line.classList.add("missing"));
          const target = unheard.length ? unheard[0].button : lines.length ? lines[0].querySelector("input") : null;
          if (target) { target.focus(); target.scrollIntoView({ block: "center" }); }
        },
      };
    }

    function key(event) {
      const match = /^Digit(\d)$/.exec(event.code);
      if (!match || !event.shiftKey || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      toggle(Number(match[1]) - 1);
    }

    document.addEventListener("keydown", key);
    root.append(
      h("div", { class: "card" },
        ["localisation", "matching"].includes(survey.design) ? "" : h("p", {}, h("strong", {}, "Text description: "), spec.caption || "none for this video"),
        h("p", { class: "soft" }, tasks[survey.design]),
        h("p", { class: "soft keys" }, "Keys: ", h("kbd", {}, "Shift"), " + ", h("kbd", {}, "1"), ...(players.length > 1 ? [" … ", h("kbd", {}, String(players.length))] : []),
          players.length > 1 ? " plays a video, " : " plays the sound, ", h("kbd", {}, "Tab"), " goes from row to row",
          ...(survey.design === "rating" ? [", ", h("kbd", {}, "1"), " … ", h("kbd", {}, "5"), " rates the row."] : ["."])),
        players.length < 2 ? "" : h("label", { class: "check" }, together, h("span", {}, "When I switch to another video, go on at the same moment"))),
      h("div", { class: "stage" }, h("div", { class: "players" }, ...players.map((own) => own.figure))),
      h("div", { class: "dimensions" }, ...survey.dimensions.map({ rating: dimensionCard, preference: choiceCard, matching: choiceCard, localisation: pointCard, mushra: scaleCard }[survey.design])));

    return {
      missing,
      close() {
        document.removeEventListener("keydown", key);
        players.forEach((own) => { own.video.pause(); own.video.removeAttribute("src"); own.video.load(); });
      },
    };
  }

  return { show };
})();
