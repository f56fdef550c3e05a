// Alt texts that a model suggests: asked for, accepted and rejected without leaving the page; all that wait, by keyboard.
import { elements, send } from "./ask.js";
import { note } from "./notes.js";

async function answer(event) {
  const form = event.target.closest("form[data-alt-form]");
  if (!form) return;
  event.preventDefault();
  const button = event.submitter ?? form.querySelector("button[name=do]");
  if (!button || form.hasAttribute("aria-busy")) return;
  form.setAttribute("aria-busy", "true");
  const block = form.closest("[data-alt-text]");
  try {
    const told = await send(form, { extra: { do: button.value, language: document.documentElement.lang } });
    note(told.message);
    if (button.value === "accept") fill(block.dataset.altText, told.alt_text);
    const row = block.closest("[data-alt-row]");
    if (row) return leave(row);
    const fresh = elements(told.html);
    block.replaceWith(...fresh);
    fresh[0]?.querySelector("textarea, button")?.focus();
  } catch (error) {
    note(error.message, { problem: true });
    form.removeAttribute("aria-busy");
  }
}

// The field beside it says what is saved by now. What somebody has written into it meanwhile stays.
function fill(id, text) {
  const field = document.getElementById(`alt_text-${id}`);
  const before = field?.form.querySelector("[name=initial-alt_text]");
  if (!field || field.value !== before?.value) return;
  field.value = text;
  before.value = text;
}

// ---------------------------------------------------------------- the list

const rows = () => [...document.querySelectorAll("[data-alt-row]")];

function leave(row) {
  const next = row.nextElementSibling ?? row.previousElementSibling;
  row.remove();
  if (next) {
    next.focus();
    next.scrollIntoView({ block: "nearest" });
    return;
  }
  const done = document.querySelector("[data-alt-done]");
  done.hidden = false;
  done.querySelector("a").focus();
}

function key(event) {
  if (event.altKey || event.metaKey) return;
  const row = event.target.closest?.("[data-alt-row]");
  if (event.key === "Enter" && event.ctrlKey && row) {
    event.preventDefault();
    row.querySelector("button[value=accept]")?.click();
    return;
  }
  if (event.key === "Escape" && row && event.target.matches("textarea")) row.focus();
  if (event.ctrlKey || event.target.closest?.("input, textarea, select")) return;
  const all = rows();
  const at = all.indexOf(row);
  const go = { j: at + 1, k: Math.max(at - 1, 0) }[event.key];
  if (go !== undefined && all[go]) {
    all[go].focus();
    all[go].scrollIntoView({ block: "nearest" });
  } else if (row && event.key === "e") {
    event.preventDefault();
    row.querySelector("textarea").focus();
  } else if (row && (event.key === "a" || event.key === "r")) {
    row.querySelector(`button[value=${event.key === "a" ? "accept" : "reject"}]`)?.click();
  }
}

export function start() {
  document.addEventListener("submit", answer);
  if (document.querySelector("[data-alt-list]")) document.addEventListener("keydown", key);
}
