/* The pages of flags: a slider with its number, rows that come, go and move, the sum of
   the weights, the fields that a kind of change needs, a warning of what is not saved. */
"use strict";

// The browser's own comes too early: unfold hides the page until its scripts run.
window.addEventListener("load", () => document.querySelector("[autofocus]")?.focus());

(() => {
  // Saving one part loads the page anew: what was entered in another would be lost.
  const unsaved = new Set();
  const touch = (form) => {
    if (form?.querySelector("[name=section], [name=order]")) unsaved.add(form);
  };
  document.addEventListener("input", (event) => touch(event.target.form));
  document.addEventListener("submit", (event) => unsaved.delete(event.target));
  window.addEventListener("beforeunload", (event) => {
    if (unsaved.size) event.preventDefault();
  });

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
    touch(form);
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
    touch(button.closest("form"));
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

  // What most people mean by it; it can be set back.
  const ORDERS = ["gt", "gte", "lt", "lte"];
  document.addEventListener("change", (event) => {
    if (event.target.name !== "when_operator") return;
    const type = event.target.closest("[data-row]").querySelector("[name=when_type]");
    if (ORDERS.includes(event.target.value)) type.value = "number";
    else if (event.target.value === "exists") type.value = "boolean";
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
