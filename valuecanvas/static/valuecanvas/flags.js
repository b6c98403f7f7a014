/* The pages of flags: a slider with its number, rows that come, go and move, the sum of
   the weights, and the fields that a kind of change needs. */
"use strict";

// The browser's own comes too early: unfold hides the page until its scripts run.
window.addEventListener("load", () => document.querySelector("[autofocus]")?.focus());

(() => {
  const sum = (form) => {
    const shown = form.querySelector("[data-total]");
    if (!shown) return;
    const weights = [...form.querySelectorAll("[data-weight]")];
    const total = weights.reduce((all, field) => all + (Number.parseFloat(field.value) || 0), 0);
    const rounded = Math.round(total * 100) / 100;
    shown.hidden = weights.length === 0;
    shown.querySelector("b").textContent = rounded;
    shown.classList.toggle("vf-wrong", rounded !== 100 && rounded !== 0);
  };

  const refresh = (form) => {
    const empty = form.querySelector("[data-empty]");
    if (empty) empty.hidden = form.querySelectorAll("[data-row]").length > 0;
    sum(form);
    form.dispatchEvent(new Event("change", { bubbles: true }));
  };

  const add = (button) => {
    const form = button.closest("[data-rows]");
    const row = document.querySelector(button.dataset.add).content.firstElementChild.cloneNode(true);
    form.querySelector("[data-list]").append(row);
    row.querySelector("input, select, textarea")?.focus();
    refresh(form);
  };

  const move = (button, up) => {
    const row = button.closest("[data-row]");
    const other = up ? row.previousElementSibling : row.nextElementSibling;
    if (!other) return;
    if (up) other.before(row);
    else other.after(row);
    button.focus();
    const save = button.closest("[data-rows]").querySelector("[data-moved]");
    if (save) save.hidden = false;
  };

  document.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    if (button.dataset.add) add(button);
    else if ("up" in button.dataset) move(button, true);
    else if ("down" in button.dataset) move(button, false);
    else if ("remove" in button.dataset) {
      const form = button.closest("[data-rows]");
      button.closest("[data-row]").remove();
      refresh(form);
    }
  });

  document.addEventListener("input", (event) => {
    const field = event.target;
    if (field.dataset.slider) document.querySelector(field.dataset.slider).value = field.value;
    else if (field.name === "percent") {
      const slider = document.querySelector(`[data-slider="#${field.id}"]`);
      if (slider) slider.value = field.value;
    } else if ("weight" in field.dataset) sum(field.closest("[data-rows]"));
  });

  const narrow = (form) => {
    const kind = form.querySelector("[name=kind]").value;
    for (const part of form.querySelectorAll("[data-of]")) part.hidden = part.dataset.of !== kind;
  };
  for (const form of document.querySelectorAll("[data-kind]")) {
    narrow(form);
    form.addEventListener("change", () => narrow(form));
  }
  for (const form of document.querySelectorAll("[data-rows]")) sum(form);
})();
