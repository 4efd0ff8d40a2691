"use strict";
// Asks the questions of one rater, keeps the answers in the browser's storage, and saves them to a file.
(() => {
  const { study, mode, plans } = JSON.parse(document.getElementById("study-data").textContent);
  const byId = (id) => document.getElementById(id);
  const STORE = `inpaint-zoo-study-${study}`;
  const PAUSE = 250; // milliseconds in which a double tap must not answer the next question
  const LETTERS = "ABCDEFGHI";
  let session = null; // {rater, plan, started, answers: {question: {files, seconds}}}
  let at = 0; // the current question
  let picked = []; // files in the order of choice, the best first
  let shownAt = 0;
  let saved = true;
  const canStore = (() => {
    try { localStorage.setItem(`${STORE}-test`, "1"); localStorage.removeItem(`${STORE}-test`); return true; } catch (error) { return false; }
  })();

  function element(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    node.append(...children);
    return node;
  }
  function hash(text) { // 32-bit FNV-1a of the UTF-8 bytes
    let value = 0x811c9dc5;
    for (const byte of new TextEncoder().encode(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0;
    return value;
  }
  const questions = () => plans[session.plan];
  const done = () => Object.keys(session.answers).length;

  // --- storage: all raters of this device, by name ---
  function stored() {
    try { return JSON.parse(localStorage.getItem(STORE)) || {}; } catch (error) { return {}; }
  }
  function keep() {
    saved = false;
    if (canStore) localStorage.setItem(STORE, JSON.stringify({ ...stored(), [session.rater]: session }));
  }

  function show(name) {
    for (const section of ["start", "task", "end"]) byId(section).hidden = section !== name;
    window.scrollTo(0, 0);
  }

  // A number takes its own plan, so that raters with the numbers 1, 2, 3, ... see every image equally often.
  function planOf(rater) {
    return /^[0-9]{1,9}$/.test(rater) && Number(rater) > 0 ? (Number(rater) - 1) % plans.length : hash(rater) % plans.length;
  }
  function begin(rater) {
    const known = stored();
    session = Object.hasOwn(known, rater) ? known[rater] : { rater, plan: planOf(rater), started: new Date().toISOString(), answers: {} };
    const first = questions().findIndex((_, index) => !session.answers[index]);
    if (first < 0) finish(); else ask(first);
  }

  // --- one question ---
  function ask(index) {
    at = index;
    const { references, files } = questions()[at];
    picked = session.answers[at] ? [...session.answers[at].files] : [];
    show("task");
    byId("bar").max = questions().length;
    byId("bar").value = done();
    byId("count").textContent = `Question ${at + 1} of ${questions().length}`;
    byId("back").disabled = at === 0;
    const imageElement = (file, alt) => element("img", { src: `images/${file}.png`, alt, draggable: "false" });
    byId("references").replaceChildren(...references.map(([title, file]) => element("figure", {}, imageElement(file, title), element("figcaption", {}, title))));
    const choices = byId("choices");
    choices.replaceChildren(...files.map((file, place) => {
      const button = element("button", { type: "button", "data-file": file }, imageElement(file, ""), element("span", { class: "letter" }, mode === "rank" ? LETTERS[place] : String(place + 1)));
      button.addEventListener("click", () => choose(place));
      return button;
    }));
    draw();
    byId("question").focus({ preventScroll: true });
    choices.setAttribute("aria-busy", "true"); // no answer before all images are visible
    const pause = new Promise((resolve) => { setTimeout(resolve, PAUSE); });
    const images = [...document.querySelectorAll("#task img")];
    Promise.all([pause, ...images.map((image) => image.decode())]).then(() => {
      if (at !== index) return;
      choices.setAttribute("aria-busy", "false");
      shownAt = performance.now();
      for (const { files: later } of questions().slice(at + 1, at + 2)) for (const file of later) new Image().src = `images/${file}.png`;
    }, () => warn("An image of this question cannot be loaded. Check that the folder of this page is complete, and open the page again."));
  }
  const busy = () => byId("choices").getAttribute("aria-busy") === "true";

  function draw() {
    const { files } = questions()[at];
    for (const [place, button] of [...byId("choices").children].entries()) {
      const rank = picked.indexOf(files[place]) + 1;
      const name = mode === "rank" ? `Image ${LETTERS[place]}` : `Image ${place + 1}`;
      const chosen = mode === "rank" ? rank > 0 : rank === 1;
      button.setAttribute("aria-pressed", String(chosen));
      button.setAttribute("aria-label", mode === "rank" && rank ? `${name}, place ${rank}` : name);
      button.querySelector(".place")?.remove();
      if (mode === "rank" && rank) button.append(element("span", { class: "place", "aria-hidden": "true" }, String(rank)));
    }
    if (mode !== "rank") return;
    const complete = picked.length === files.length;
    byId("next").disabled = !complete;
    byId("clear").disabled = picked.length === 0;
    byId("status").textContent = complete ? "All images have a place." : `Choose the image for place ${picked.length + 1}.`;
  }

  function choose(place) {
    const { files } = questions()[at];
    if (busy() || place >= files.length) return;
    const file = files[place];
    if (mode === "pairs") {
      picked = [file, ...files.filter((other) => other !== file)];
      record();
      return;
    }
    const rank = picked.indexOf(file);
    if (rank >= 0) picked = picked.slice(0, Math.min(rank, files.length - 2)); // choose again from this place on
    else picked.push(file);
    if (rank < 0 && picked.length === files.length - 1) { // the last place is left to one image
      picked.push(files.find((other) => !picked.includes(other)));
    }
    draw();
    if (picked.length === files.length) byId("next").focus({ preventScroll: true });
  }

  function record() {
    const before = session.answers[at]?.seconds || 0;
    session.answers[at] = { files: picked, seconds: Math.round(before * 1000 + performance.now() - shownAt) / 1000 };
    keep();
    const open = questions().findIndex((_, index) => index > at && !session.answers[index]);
    const next = open >= 0 ? open : questions().findIndex((_, index) => !session.answers[index]);
    if (next < 0) finish(); else ask(next);
  }
  const goBack = () => { if (at > 0) ask(at - 1); };

  // --- the file ---
  function answersFile() {
    const answers = Object.entries(session.answers).map(([question, answer]) => ({ question: Number(question), ...answer }));
    const lines = [study, session.rater, String(session.plan), ...answers.map(({ question, files }) => `${question}:${files.join(",")}`)];
    return JSON.stringify({
      format: 1, study, mode, rater: session.rater, plan: session.plan, started: session.started, saved: new Date().toISOString(),
      questions: questions().length, answers, checksum: hash(lines.join("\n")).toString(16).padStart(8, "0"),
    }, null, 1);
  }
  function finish() {
    const left = questions().length - done();
    byId("end-title").textContent = left ? `${left} of ${questions().length} questions are left` : "Thank you!";
    byId("end-text").textContent = left
      ? "You can continue later on this device, with the same number or name. You can also save the answers that you have given so far."
      : "All questions are answered. Save the answers and send the file to the person who asked you.";
    byId("raw").value = answersFile();
    show("end");
    byId("end-title").focus({ preventScroll: true });
  }
  function save() {
    const text = answersFile();
    byId("raw").value = text;
    const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    const name = session.rater.replace(/[^\p{L}\p{N}_-]+/gu, "_");
    const link = element("a", { href: url, download: `answers-${study.slice(0, 6)}-${name}.json` });
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 10000);
    saved = true;
  }
  function warn(text) {
    byId("warning").textContent = text;
    byId("warning").hidden = false;
  }

  byId("begin").addEventListener("submit", (event) => {
    event.preventDefault();
    const rater = byId("rater").value.normalize("NFC").trim().replace(/\s+/g, " ");
    if (rater) begin(rater);
  });
  byId("back").addEventListener("click", goBack);
  byId("clear")?.addEventListener("click", () => { picked = []; draw(); });
  byId("next")?.addEventListener("click", () => { if (!busy()) record(); });
  byId("pause").addEventListener("click", finish);
  byId("save").addEventListener("click", save);
  byId("review").addEventListener("click", () => ask(at));
  addEventListener("beforeunload", (event) => { if (!canStore && !saved) event.preventDefault(); });
  document.addEventListener("keydown", (event) => {
    if (byId("task").hidden || event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    const key = event.key.length === 1 ? event.key.toUpperCase() : event.key;
    const arrows = mode === "pairs" ? ["ArrowLeft", "ArrowRight"] : [];
    const place = [mode === "rank" ? LETTERS.indexOf(key) : -1, "123456789".indexOf(key), arrows.indexOf(key)].find((index) => index >= 0 && key !== "");
    if (place !== undefined) choose(place);
    else if (key === "Backspace") {
      if (mode === "pairs" || picked.length === 0) goBack();
      else { picked.pop(); draw(); }
    } else if (key === "Enter" && mode === "rank" && !(event.target instanceof HTMLButtonElement) && !byId("next").disabled && !busy()) record();
    else return;
    event.preventDefault();
  });

  const open = Object.values(stored()).filter((each) => Object.keys(each.answers).length < plans[each.plan].length);
  if (open.length) {
    byId("unfinished").hidden = false;
    byId("unfinished").textContent = `Not finished on this device: ${open.map((each) => each.rater).join(", ")}. Enter the same number or name to continue.`;
    byId("rater").value = open.at(-1).rater;
  }
  if (!canStore) warn("This browser does not keep the answers. Do not close the page before you have saved them.");
  show("start");
  byId("rater").focus();
})();
