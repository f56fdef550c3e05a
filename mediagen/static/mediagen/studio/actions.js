// Buttons that do something with an asset: sent without leaving the page, and what changed is put into it.
import { askJson, forId, send } from "./ask.js";
import { grid, place, putBack, takeAway, tileOf } from "./grid.js";
import { note, words } from "./notes.js";
import { refresh, watch } from "./progress.js";

async function act(event) {
  const form = event.target.closest("form[data-action]");
  if (!form) return;
  event.preventDefault();
  const button = event.submitter ?? form.querySelector("button");
  if (button.getAttribute("aria-disabled") === "true") return;
  button.setAttribute("aria-disabled", "true");
  try {
    const extra = button.name ? { [button.name]: button.value } : {};
    took(await send(form, { extra }), new FormData(form).get("csrfmiddlewaretoken"));
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
  if (answer.changed) refresh(answer.changed.filter(tileOf));
  watch();
}

export async function takeBack({ address, fields }, token, here = null) {
  const body = new FormData();
  body.set("csrfmiddlewaretoken", token);
  for (const [name, values] of Object.entries(fields)) for (const value of [values].flat()) body.append(name, value);
  try {
    const answer = await askJson(address, { method: "POST", body });
    if (answer.tile) return took(answer, token, true);
    // Of many: what is on the page goes back to where it was.
    const back = await refresh(here ?? answer.changed.filter(tileOf), putBack);
    back[0]?.querySelector("a")?.focus();
    note(answer.message);
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

// As PNG, which is what a clipboard takes.
async function copyPicture(event) {
  const button = event.target.closest("[data-copy-picture]");
  if (!button) return;
  try {
    const picture = await createImageBitmap(await (await fetch(button.dataset.copyPicture)).blob());
    const sheet = new OffscreenCanvas(picture.width, picture.height);
    sheet.getContext("2d").drawImage(picture, 0, 0);
    const png = await sheet.convertToBlob({ type: "image/png" });
    await navigator.clipboard.write([new ClipboardItem({ "image/png": png })]);
    note(words.copiedPicture);
  } catch {
    note(words.notCopiedPicture, { problem: true });
  }
}

function suggest(event) {
  const button = event.target.closest("[data-suggest]");
  if (!button) return;
  const field = document.getElementById(button.dataset.suggest);
  field.value = button.dataset.text;
  field.focus();
}

// 1 to 5 rate the picture that is open or has the focus, 0 takes that back.
function key(event) {
  if (!/^[0-5]$/.test(event.key) || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest("input, textarea, select")) return;
  const id = document.querySelector("dialog[open] [data-story-of]")?.dataset.storyOf ?? event.target.closest(".mediagen-tile")?.dataset.asset;
  const token = document.querySelector("#mediagen-many [name=csrfmiddlewaretoken]")?.value;
  const address = document.getElementById("mediagen-lightbox")?.dataset.rate;
  if (id && token && address) takeBack({ address: forId(address, id), fields: { rating: event.key === "0" ? "" : event.key } }, token);
}

export function start() {
  document.addEventListener("click", suggest);
  document.addEventListener("click", copyPicture);
  document.addEventListener("keydown", key);
  document.addEventListener("submit", act);
  document.addEventListener("click", copy);
}
