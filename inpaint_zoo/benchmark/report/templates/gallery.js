"use strict";
// The gallery: compare any two versions of an image with a draggable line, and show all methods side by side.
(() => {
  const source = document.getElementById("gallery-data");
  if (!source) return;
  const { methods, first, scenes, images } = JSON.parse(source.textContent);
  const byId = (id) => document.getElementById(id);
  const unique = (values) => [...new Set(values)];
  const state = { dataset: scenes[0].dataset, mask: scenes[0].mask, image: scenes[0].image, left: "masked", right: String(first), view: "result", at: 50 };
  byId("gallery").hidden = false;

  function element(tag, attributes = {}, ...children) {
    const node = document.createElement(tag);
    for (const [key, value] of Object.entries(attributes)) {
      if (key === "class") node.className = value;
      else if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
      else node.setAttribute(key, value);
    }
    node.append(...children);
    return node;
  }
  const breakable = (label) => label.split(/(?<=[_:/.])(?=.)/).flatMap((part) => [part, element("wbr")]);
  const image = (name, kind = "") => element("img", { src: images[name], alt: "", class: kind, draggable: "false" });
  const swatchOf = (index) => byId("chart-methods").querySelectorAll(".swatch")[index].cloneNode(true);
  const scene = () => scenes.find((one) => one.dataset === state.dataset && one.mask === state.mask && one.image === state.image);
  const entryOf = (choice) => scene().methods[Number(choice.replace("difference-", ""))];

  function title(choice) {
    if (choice === "truth") return "Ground truth";
    if (choice === "masked") return "Masked";
    const method = methods[Number(choice.replace("difference-", ""))];
    return choice.startsWith("difference-") ? `Difference: ${method}` : method;
  }
  // A version of an image is a stack of images: a result contains only what differs from the ground truth below it.
  function layers(choice) {
    const { truth, hole } = scene();
    if (choice === "truth") return [image(truth)];
    if (choice === "masked") return [image(truth), image(hole, "crisp")];
    const entry = entryOf(choice);
    if (choice.startsWith("difference-")) return [image(truth, "faint"), image(entry.difference, "crisp")];
    return [image(truth), image(entry.image)];
  }

  function moveTo(at) {
    state.at = Math.min(100, Math.max(0, at));
    byId("compare").style.setProperty("--at", `${state.at}%`);
    const handle = byId("handle");
    handle.setAttribute("aria-valuenow", String(Math.round(state.at)));
    handle.setAttribute("aria-valuetext", `${Math.round(state.at)} % ${title(state.left)}, the rest ${title(state.right)}`);
  }

  function drawCompare() {
    const { width, height } = scene();
    byId("gallery").style.setProperty("--aspect", String(width / height));
    byId("pane-left").replaceChildren(...layers(state.left));
    byId("pane-right").replaceChildren(...layers(state.right));
    byId("tag-left").textContent = title(state.left);
    byId("tag-right").textContent = title(state.right);
    const showsDifference = [state.left, state.right].some((choice) => choice.startsWith("difference-"));
    byId("difference-legend").hidden = !showsDifference && state.view !== "difference";
    moveTo(state.at);
  }

  function drawPickers() {
    const usable = scene().methods.filter((entry) => entry.image);
    const missing = scene().methods.filter((entry) => !entry.image);
    for (const side of ["left", "right"]) {
      const select = byId(`pick-${side}`);
      const option = (value) => element("option", { value }, title(value));
      const group = (label, values) => element("optgroup", { label }, ...values.map(option));
      select.replaceChildren(
        option("truth"),
        option("masked"),
        group("Results", usable.map((entry) => String(entry.method))),
        group("Differences", usable.map((entry) => `difference-${entry.method}`)),
      );
      for (const entry of missing) {
        select.append(element("option", { disabled: "" }, `${methods[entry.method]} (${entry.missing.split(":")[0]})`));
      }
      if (![...select.options].some((one) => one.value === state[side] && !one.disabled)) {
        state[side] = side === "left" || !usable.length ? "truth" : String((usable.find((entry) => entry.method === first) || usable[0]).method);
      }
      select.value = state[side];
    }
  }

  function drawScores() {
    const now = scene();
    byId("about").textContent = `${now.image}, ${now.dataset} · ${now.mask}, ${(100 * now.ratio).toFixed(1)} % hole, ${now.width} × ${now.height} px`;
    const shown = unique([state.left, state.right]).filter((choice) => choice !== "truth" && choice !== "masked").map(entryOf);
    const entries = unique(shown).filter((entry) => entry.image);
    const titles = unique(entries.flatMap((entry) => entry.scores.map(([name]) => name)));
    const row = (name, value) => element("tr", {}, element("th", { scope: "row" }, name), ...entries.map((entry) => element("td", {}, value(entry))));
    byId("image-scores").replaceChildren(
      element("thead", {}, element("tr", {}, element("td", {}), ...entries.map((entry) => element("th", { scope: "col" }, methods[entry.method])))),
      element("tbody", {},
        ...titles.map((name) => row(name, (entry) => (entry.scores.find(([other]) => other === name) || ["", "–"])[1])),
        row("mean 8-bit difference in the hole", (entry) => entry.mean_difference.toFixed(1)),
      ),
    );
    byId("image-scores").hidden = entries.length === 0;
  }

  function drawStrip() {
    const now = scene();
    const who = (entry) => element("span", { class: "name" }, swatchOf(entry.method), element("bdi", {}, ...breakable(methods[entry.method])));
    const card = (entry) => {
      if (!entry.image) {
        return element("div", { class: "card" }, element("span", { class: "thumb" }, entry.missing), who(entry));
      }
      const choice = state.view === "difference" ? `difference-${entry.method}` : String(entry.method);
      const score = entry.scores.length ? entry.scores[0].join(" ") : "";
      return element("button", { type: "button", "aria-pressed": String(state.right === choice), onclick: () => { state.right = choice; draw(); } },
        element("span", { class: "thumb" }, ...layers(choice)), who(entry), element("span", { class: "score-line" }, score));
    };
    const fixed = (choice) => element("button", { type: "button", "aria-pressed": String(state.right === choice), onclick: () => { state.right = choice; draw(); } },
      element("span", { class: "thumb" }, ...layers(choice)), element("span", { class: "name" }, title(choice)));
    byId("strip").replaceChildren(...["truth", "masked"].map((choice) => element("li", {}, fixed(choice))), ...now.methods.map((entry) => element("li", {}, card(entry))));
  }

  // Choices of dataset, mask set and image; a choice that is not available falls back to the first one.
  function drawControls() {
    const focused = document.activeElement && document.activeElement.dataset.choice;
    const options = {
      dataset: unique(scenes.map((one) => one.dataset)),
      mask: unique(scenes.filter((one) => one.dataset === state.dataset).map((one) => one.mask)),
    };
    const pills = (key, legend) => element("fieldset", { class: "pills" }, element("legend", {}, legend), ...options[key].map((value) => {
      const input = element("input", { type: "radio", name: `gallery-${key}`, value, "data-choice": `${key}=${value}`, onchange: () => choose({ [key]: value }) });
      input.checked = state[key] === value;
      return element("label", {}, input, element("span", {}, element("bdi", {}, value)));
    }));
    const here = scenes.filter((one) => one.dataset === state.dataset && one.mask === state.mask);
    const images = element("div", { class: "images", role: "group", "aria-label": "Image" }, ...here.map((one) =>
      element("button", { type: "button", "aria-label": one.image, title: one.image, "aria-pressed": String(one.image === state.image), "data-choice": `image=${one.image}`, onclick: () => choose({ image: one.image }) },
        element("span", { class: "thumb" }, image(one.truth)))));
    const parts = [pills("mask", "Mask set"), images];
    if (options.dataset.length > 1) parts.unshift(pills("dataset", "Dataset"));
    byId("gallery-controls").replaceChildren(...parts);
    const again = [...byId("gallery-controls").querySelectorAll("[data-choice]")].find((node) => node.dataset.choice === focused);
    if (again) again.focus();
  }

  function choose(change) {
    Object.assign(state, change);
    const wish = (...keys) => scenes.find((one) => keys.every((key) => one[key] === state[key]));
    const found = wish("dataset", "mask", "image") || wish("dataset", "mask") || wish("dataset");
    Object.assign(state, { mask: found.mask, image: found.image });
    drawControls();
    draw();
  }

  function draw() {
    const focused = document.activeElement && byId("strip").contains(document.activeElement) ? [...byId("strip").querySelectorAll("button")].indexOf(document.activeElement) : -1;
    drawPickers();
    drawCompare();
    drawScores();
    drawStrip();
    if (focused >= 0) byId("strip").querySelectorAll("button")[focused].focus();
  }

  for (const side of ["left", "right"]) {
    byId(`pick-${side}`).addEventListener("change", (event) => { state[side] = event.target.value; draw(); });
  }
  byId("swap").addEventListener("click", () => {
    [state.left, state.right] = [state.right, state.left];
    draw();
  });
  for (const input of document.querySelectorAll('[data-pills="strip"] input')) {
    input.addEventListener("change", () => { state.view = input.value; draw(); });
  }

  const compare = byId("compare");
  const follow = (event) => {
    const box = compare.getBoundingClientRect();
    moveTo((100 * (event.clientX - box.left)) / box.width);
  };
  compare.addEventListener("pointerdown", (event) => {
    compare.setPointerCapture(event.pointerId);
    follow(event);
    byId("handle").focus({ preventScroll: true });
    event.preventDefault();
  });
  compare.addEventListener("pointermove", (event) => { if (compare.hasPointerCapture(event.pointerId)) follow(event); });
  byId("handle").addEventListener("keydown", (event) => {
    const step = event.shiftKey ? 10 : 2;
    const moves = { ArrowLeft: -step, ArrowDown: -step, ArrowRight: step, ArrowUp: step, PageDown: -10, PageUp: 10, Home: -100, End: 100 };
    if (!(event.key in moves)) return;
    event.preventDefault();
    moveTo(state.at + moves[event.key]);
  });
  choose({});
})();
