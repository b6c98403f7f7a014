/* The editor of prompts: variables found while one writes, rows, chips, warnings. */
"use strict";

// The browser's own comes too early: unfold hides the page until its scripts run.
window.addEventListener("load", () => document.querySelector("[autofocus]")?.focus());

// "Try it" begins with the sample values of the editor.
(() => {
  const form = document.querySelector("[data-samples]");
  if (!form) return;
  let kept = {};
  try {
    kept = JSON.parse(sessionStorage.getItem(`prompt-samples:${form.dataset.samples}`)) || {};
  } catch {
    return;
  }
  for (const field of form.querySelectorAll("[name^='value:']")) {
    field.value ||= kept[field.name.slice("value:".length)] || "";
  }
})();

(() => {
  const editor = document.querySelector("[data-vp-editor]");
  if (!editor) return;

  // As prompts/rendering/grammar.py reads it.
  const NAME = /\{\{[ \t]*([A-Za-z_][A-Za-z0-9_.-]{0,63})[ \t]*\}\}/g;
  const variables = editor.querySelector("#variables");
  const chips = editor.querySelector("#chips");
  const store = `prompt-samples:${document.querySelector("[data-prompt]").dataset.prompt}`;
  const words = () => editor.querySelectorAll("textarea[name=template], textarea[name=content]");
  let target = words()[0];
  let changed = false;

  const used = () => {
    const found = new Set();
    for (const area of words()) {
      for (const match of area.value.matchAll(NAME)) found.add(match[1]);
    }
    return found;
  };

  const rowOf = (name) => [...variables.children].find((row) => row.dataset.name === name);

  const samples = () => {
    try {
      return JSON.parse(sessionStorage.getItem(store)) || {};
    } catch {
      return {};
    }
  };

  const addRow = (name) => {
    const row = document.querySelector("#variable-row").content.firstElementChild.cloneNode(true);
    row.dataset.name = name;
    row.querySelector("[name=var_name]").value = name;
    row.querySelector(".vp-name").textContent = name;
    row.querySelector("[name=var_sample]").value = samples()[name] || "";
    variables.append(row);
    showRules(row);
  };

  const drawChips = () => {
    const names = [...variables.children].map((row) => row.dataset.name);
    chips.replaceChildren(
      ...names.map((name) => {
        const chip = document.createElement("button");
        chip.type = "button";
        chip.className = "vc-chip vp-var";
        chip.dataset.insert = name;
        chip.textContent = name;
        return chip;
      })
    );
    editor.querySelector(".vp-no-variables").hidden = names.length > 0;
  };

  // A name that is still being typed would leave a row for each letter: remove
  // unchanged rows when their name disappears.
  const untouched = (row) =>
    row.dataset.found === "1" &&
    ![...row.querySelectorAll("[name=var_description], [name=var_sample], [name=var_default], [name=var_detail]")].some(
      (field) => field.value
    );

  const refresh = () => {
    const names = used();
    for (const row of [...variables.children]) {
      const isUsed = names.has(row.dataset.name);
      if (!isUsed && untouched(row)) row.remove();
      else row.classList.toggle("vp-unused", !isUsed);
    }
    for (const name of names) {
      if (rowOf(name)) continue;
      addRow(name);
      rowOf(name).dataset.found = "1";
    }
    drawChips();
  };

  const tell = () => editor.dispatchEvent(new Event("input", { bubbles: true }));

  const insert = (text, select) => {
    if (!target) return;
    const at = target.selectionStart ?? target.value.length;
    target.setRangeText(text, at, target.selectionEnd ?? at, "end");
    if (select) {
      const from = at + text.indexOf(select);
      target.setSelectionRange(from, from + select.length);
    }
    target.focus();
    target.dispatchEvent(new Event("input", { bubbles: true }));
  };

  // Only the fields that the chosen rule needs.
  const DETAILS = {
    short: "Most characters",
    one_of: "The allowed values, separated by commas",
    schema: "JSON Schema",
  };
  const showRules = (row) => {
    const detail = row.querySelector("[name=var_detail]").closest("label");
    const title = DETAILS[row.querySelector("[name=var_kind]").value];
    detail.hidden = !title;
    detail.querySelector("[data-detail-title]").textContent = title || "";
    row.querySelector("[name=var_default]").closest("label").hidden =
      row.querySelector("[name=var_left_out]").value === "must";
  };

  const move = (row, up) => {
    const other = up ? row.previousElementSibling : row.nextElementSibling;
    if (other) (up ? other.before(row) : other.after(row));
    tell();
  };

  const addMessage = () => {
    const row = document.querySelector("#message-row").content.firstElementChild.cloneNode(true);
    const rows = editor.querySelectorAll(".vp-message");
    const last = rows.length ? rows[rows.length - 1].querySelector("select").value : "assistant";
    row.querySelector("select").value = last === "user" ? "assistant" : "user";
    editor.querySelector("#messages").append(row);
    target = row.querySelector("textarea");
    target.focus();
    tell();
  };

  const remove = (button) => {
    const row = button.closest(".vp-variable, .vp-message");
    row.remove();
    if (!target?.isConnected) target = words()[0];
    drawChips();
    tell();
  };

  const CLICKS = [
    ["[data-insert]", (button) => insert(`{{${button.dataset.insert}}}`)],
    ["[data-new-variable]", () => insert("{{name}}", "name")],
    ["[data-include]", () => insert("{{> other.prompt}}", "other.prompt")],
    ["[data-add-message]", addMessage],
    ["[data-up]", (button) => move(button.closest(".vp-message"), true)],
    ["[data-down]", (button) => move(button.closest(".vp-message"), false)],
    ["[data-remove]", remove],
  ];

  editor.addEventListener("click", (event) => {
    for (const [selector, act] of CLICKS) {
      const button = event.target.closest(selector);
      if (button) {
        act(button);
        return;
      }
    }
  });

  editor.addEventListener("focusin", (event) => {
    if (event.target.matches("textarea[name=template], textarea[name=content]")) target = event.target;
  });

  const remember = () => {
    const kept = samples();
    for (const row of variables.children) {
      kept[row.dataset.name] = row.querySelector("[name=var_sample]").value;
    }
    sessionStorage.setItem(store, JSON.stringify(kept));
  };

  // Before htmx sends the form to the preview: capture comes first.
  editor.addEventListener(
    "input",
    (event) => {
      if (event.target.matches?.("textarea[name=template], textarea[name=content]")) refresh();
      if (event.target.matches?.("[name=var_sample]")) remember();
      else changed = true;
      const unsaved = editor.querySelector("#unsaved");
      if (unsaved) unsaved.hidden = !changed;
    },
    true
  );

  editor.addEventListener("submit", () => {
    changed = false;
  });
  window.addEventListener("beforeunload", (event) => {
    if (changed) event.preventDefault();
  });

  editor.addEventListener("change", (event) => {
    if (event.target.matches("[name=var_kind], [name=var_left_out]")) {
      showRules(event.target.closest(".vp-variable"));
    }
  });

  for (const row of variables.children) {
    showRules(row);
    const sample = row.querySelector("[name=var_sample]");
    sample.value ||= samples()[row.dataset.name] || "";
  }
  if ([...variables.querySelectorAll("[name=var_sample]")].some((field) => field.value)) {
    // After htmx has found its triggers.
    window.addEventListener("load", () => {
      document.querySelector("#preview").dispatchEvent(new Event("refresh"));
    });
  }
})();
