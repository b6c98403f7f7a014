/* Copy buttons, sample prompts, list narrowing, and a sign that work is under way. */
"use strict";

(() => {
  const copy = async (button) => {
    const field = document.querySelector(button.dataset.copy);
    const label = button.querySelector("[data-copy-label]");
    field.select();
    let done = false;
    try {
      await navigator.clipboard.writeText(field.value);
      done = true;
    } catch {
      // No clipboard on plain http or without permission: use the old API.
      done = document.execCommand("copy");
    }
    label.textContent = done ? "Copied" : "Press Ctrl+C";
  };

  const fill = (button) => {
    const field = document.querySelector(button.dataset.fill);
    field.value = button.dataset.text;
    field.focus();
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy], [data-fill]");
    if (!button) return;
    if (button.dataset.copy) copy(button);
    else fill(button);
  });

  document.addEventListener("focusin", (event) => {
    if (event.target.matches("[data-select]")) event.target.select();
  });

  document.addEventListener("input", (event) => {
    const target = event.target.dataset.filter;
    if (!target) return;
    const wanted = event.target.value.trim().toLowerCase();
    for (const item of document.querySelectorAll(`${target} [data-text]`)) {
      item.hidden = !item.dataset.text.includes(wanted);
    }
  });

  document.addEventListener("submit", (event) => {
    if (!event.target.matches("[data-busy]")) return;
    document.body.classList.add("vc-busy");
    for (const button of event.target.querySelectorAll("[type=submit]")) {
      button.disabled = true;
      button.setAttribute("aria-busy", "true");
    }
  });

  // Back to a page from the browser's cache: it is not busy any more.
  window.addEventListener("pageshow", (event) => {
    if (!event.persisted) return;
    document.body.classList.remove("vc-busy");
    for (const button of document.querySelectorAll("[aria-busy]")) {
      button.disabled = false;
      button.removeAttribute("aria-busy");
    }
  });

  // New figures for charts that stay on the page while its texts are replaced.
  document.addEventListener("htmx:oobAfterSwap", () => {
    for (const source of document.querySelectorAll("[data-chart]")) {
      const canvas = document.querySelector(`${source.dataset.chart} canvas`);
      const chart = canvas && window.Chart && window.Chart.getChart(canvas);
      if (!chart || canvas.dataset.value === source.dataset.value) continue;
      canvas.dataset.value = source.dataset.value;
      chart.data = JSON.parse(source.dataset.value);
      chart.update("none");
    }
  });
})();
