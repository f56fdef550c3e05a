// Buttons that do something with an asset: sent without leaving the page, and what changed is put into it.
import { askJson, send } from "./ask.js";
import { grid, place, putBack, takeAway } from "./grid.js";
import { note, words } from "./notes.js";
import { watch } from "./progress.js";

async function act(event) {
  const form = event.target.closest("form[data-action]");
  if (!form) return;
  event.preventDefault();
  const button = event.submitter ?? form.querySelector("button");
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  try {
    took(await send(form), new FormData(form).get("csrfmiddlewaretoken"));
  } catch (error) {
    note(error.message, { problem: true });
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

function took(answer, token, isBack = false) {
  if (!grid) {
    if (answer.gone) location.assign(answer.next);
    else location.assign(answer.next ?? location.href);
    return;
  }
  if (answer.made) place(answer.made, { first: true });
  if (answer.gone) {
    const next = takeAway(answer.id);
    document.dispatchEvent(new CustomEvent("mediagen:gone", { detail: { id: answer.id } }));
    next?.querySelector("a")?.focus();
  } else {
    const tile = putBack(answer.tile);
    if (isBack) tile.querySelector("a").focus();
    document.dispatchEvent(new CustomEvent("mediagen:told", { detail: { id: answer.id, story: answer.story } }));
  }
  const undo = answer.undo ? { button: words.undo, onButton: () => takeBack(answer.undo, token) } : {};
  note(answer.message, undo);
  watch();
}

async function takeBack(address, token) {
  const body = new FormData();
  body.set("csrfmiddlewaretoken", token);
  try {
    took(await askJson(address, { method: "POST", body }), token, true);
  } catch (error) {
    note(error.message, { problem: true });
  }
}

async function copy(event) {
  const link = event.target.closest("a[data-copy]");
  if (!link || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  try {
    await navigator.clipboard.writeText(link.href);
    note(words.copied);
  } catch {
    note(`${words.notCopied} ${link.href}`, { stays: true });
  }
}

function suggest(event) {
  const button = event.target.closest("[data-suggest]");
  if (!button) return;
  const field = document.getElementById(button.dataset.suggest);
  field.value = button.dataset.text;
  field.focus();
}

export function start() {
  document.addEventListener("click", suggest);
  document.addEventListener("submit", act);
  document.addEventListener("click", copy);
}
