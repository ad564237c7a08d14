// The checks before the test: level, left and right, antiphase tones, Huggins pitch.
"use strict";

window.Checks = (function () {
  const settings = window.SURVEY.checks;
  const random = (n) => Math.floor(Math.random() * n);
  const shuffled = (list) => {
    const out = list.slice();
    for (let k = out.length - 1; k > 0; k--) {
      const other = random(k + 1);
      [out[k], out[other]] = [out[other], out[k]];
    }
    return out;
  };

  // Each kind makes trials: which sounds are played one after the other, and which answer is right.
  const kinds = {
    orientation: {
      title: "Left and right",
      text: "You will hear three short bursts of noise at one ear. Say at which.",
      answers: ["Left", "Right"],
      need: settings.trials,
      trial() {
        const side = random(2);
        return { sounds: [["left", "right"][side]], right: side };
      },
    },
    antiphase: {
      title: "Headphones, part 1",
      text: "You will hear three tones. Say which of them is the quietest.",
      answers: ["First", "Second", "Third"],
      need: settings.trials - 1,
      trial() {
        const sounds = shuffled(["tone", "tone-quiet", "tone-anti"]);
        return { sounds, right: sounds.indexOf("tone-quiet") };
      },
    },
    huggins: {
      title: "Headphones, part 2",
      text: "You will hear three noises. A faint tone is hidden in one of them. Say in which.",
      answers: ["First", "Second", "Third"],
      need: settings.trials - 1,
      trial() {
        const tokens = shuffled([...Array(settings.tokens).keys()]).map((k) => k + 1);
        const sounds = ["noise-" + tokens[0], "noise-" + tokens[1], "noise-" + tokens[2]];
        const right = random(3);
        sounds[right] = "huggins-" + (random(settings.tokens) + 1);
        return { sounds, right };
      },
    },
  };

  function play(name, loop) {
    const probe = document.getElementById("probe");
    probe.src = "checks/" + name + ".flac";
    probe.loop = Boolean(loop);
    return new Promise((done, failed) => {
      probe.onended = done;
      probe.onerror = () => failed(new Error("This browser cannot play the sound."));
      probe.play().catch(failed);
    });
  }

  function stop() {
    const probe = document.getElementById("probe");
    probe.pause();
    probe.onended = null;
  }

  const pause = (ms) => new Promise((done) => setTimeout(done, ms));

  // One run of a check: shows trial after trial, then calls finish(number of right answers).
  function run(root, h, kind, finish) {
    const spec = kinds[kind];
    let trial = 0;
    let right = 0;
    let current = null;
    const dots = h("ol", { class: "dots", "aria-hidden": "true" }, ...Array.from({ length: settings.trials }, () => h("li")));
    const count = h("p", { class: "soft" });
    const listen = h("button", { class: "primary", id: "listen", type: "button" }, "▶ Play");
    const answers = spec.answers.map((name, index) =>
      h("button", { type: "button", class: "answer", "data-answer": index, disabled: "" }, name));
    const problem = h("p", { class: "note bad", hidden: "" });

    function next() {
      current = spec.trial();
      count.textContent = "Trial " + (trial + 1) + " of " + settings.trials;
      answers.forEach((button) => { button.disabled = true; });
      listen.disabled = false;
      listen.textContent = "▶ Play";
      listen.focus({ preventScroll: true });
    }
    listen.addEventListener("click", async () => {
      listen.disabled = true;
      problem.hidden = true;
      answers.forEach((button) => { button.disabled = true; });
      try {
        for (let k = 0; k < current.sounds.length; k++) {
          if (current.sounds.length > 1) answers.forEach((button, index) => button.classList.toggle("now", index === k));
          await play(current.sounds[k]);
          if (k + 1 < current.sounds.length) await pause(250);
        }
      } catch (error) {
        problem.textContent = error.message;
        problem.hidden = false;
      }
      answers.forEach((button) => { button.classList.remove("now"); button.disabled = !problem.hidden; });
      listen.disabled = false;
      listen.textContent = "▶ Play again";
    });
    answers.forEach((button, index) => button.addEventListener("click", () => {
      if (index === current.right) right += 1;
      dots.children[trial].className = "done";
      trial += 1;
      if (trial === settings.trials) finish(right);
      else next();
    }));
    root.append(h("p", {}, spec.text), count, h("div", { class: "row-of-buttons" }, listen),
      h("div", { class: "answers" }, ...answers), problem, dots);
    next();
  }

  // What to tell a rater after a failed run.
  function advice(kind, right) {
    if (kind === "orientation") {
      return right <= 1
        ? "Left and right seem to be exchanged. Turn your headphones around, or swap the plugs, and try again."
        : "Some sounds were taken for the other side. Check that both sides work, that mono or balance settings are off, and try again.";
    }
    return "This is what happens with loudspeakers, with one ear bud, or with sound effects switched on. "
      + "Put on wired headphones, switch spatial audio and enhancements off, and try again.";
  }

  return { kinds, run, advice, play, stop };
})();
