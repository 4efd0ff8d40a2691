"use strict";
// Theme, choices that show one of several panels, sorting, and highlighting methods in the plots.
(() => {
  const root = document.documentElement;

  document.getElementById("theme").addEventListener("click", () => {
    const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
    const next = (root.dataset.theme || system) === "dark" ? "light" : "dark";
    root.dataset.theme = next;
    try { localStorage.setItem("inpaint-zoo-theme", next); } catch (error) { /* switched, but not stored */ }
  });

  // A panel is shown if it agrees with every choice of its group.
  function showPanels(group) {
    const choices = {};
    for (const pills of document.querySelectorAll(`[data-pills="${group}"]`)) {
      choices[pills.dataset.key] = pills.querySelector("input:checked").value;
    }
    for (const panel of document.querySelectorAll(`[data-panel="${group}"]`)) {
      panel.hidden = Object.entries(choices).some(([key, value]) => panel.dataset[key] !== value);
    }
  }
  for (const group of ["paper", "overview", "plots", "curves", "stages", "spectra"]) {
    for (const pills of document.querySelectorAll(`[data-pills="${group}"]`)) {
      pills.addEventListener("change", () => showPanels(group));
    }
    showPanels(group);
  }

  // First click: best first for numbers, A to Z for names; rows without a number stay last.
  function sortBy(table, heading) {
    const column = heading.cellIndex;
    const numeric = heading.dataset.sort === "number";
    const first = heading.dataset.better === "high" ? "descending" : "ascending";
    const now = heading.getAttribute("aria-sort");
    const order = !now ? first : now === "ascending" ? "descending" : "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", order);
    const key = (row) => {
      const cell = row.cells[column];
      if (!numeric) return cell ? cell.textContent.trim() : "";
      const value = cell && cell.dataset.value;
      return value ? Number(value) : NaN;
    };
    const sign = order === "ascending" ? 1 : -1;
    const rows = [...table.tBodies[0].rows].map((row) => [key(row), row]);
    rows.sort(([a], [b]) => {
      if (!numeric) return sign * a.localeCompare(b, "en", { numeric: true });
      return Number.isNaN(a) - Number.isNaN(b) || sign * (a - b) || 0;
    });
    table.tBodies[0].append(...rows.map(([, row]) => row));
  }
  for (const table of document.querySelectorAll("table[data-sortable]")) {
    for (const heading of table.tHead.rows[0].cells) {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...heading.childNodes);
      heading.append(button);
      button.addEventListener("click", () => sortBy(table, heading));
    }
  }

  // Pressed methods are highlighted in the plots; hovering or focusing a method highlights it temporarily.
  const legend = document.getElementById("chart-methods");
  if (legend) {
    const pressed = new Set();
    const show = (methods) => {
      for (const series of document.querySelectorAll(".chart .series")) {
        series.classList.toggle("dim", methods.size > 0 && !methods.has(series.dataset.method));
      }
    };
    for (const button of legend.querySelectorAll("button")) {
      const method = button.dataset.method;
      button.addEventListener("click", () => {
        if (!pressed.delete(method)) pressed.add(method);
        button.setAttribute("aria-pressed", String(pressed.has(method)));
        show(pressed);
      });
      for (const event of ["pointerenter", "focus"]) button.addEventListener(event, () => show(new Set([...pressed, method])));
      for (const event of ["pointerleave", "blur"]) button.addEventListener(event, () => show(pressed));
    }
  }
})();
