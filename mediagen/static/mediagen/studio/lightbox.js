// A picture large, with its story. The address says which one, so that a reload and the way back do what one expects.
import { askHtml, elements, forId } from "./ask.js";
import { grid, tileOf, tiles } from "./grid.js";
import { home, note } from "./notes.js";
import { saw } from "./seen.js";

const box = document.getElementById("mediagen-lightbox");
const body = box?.querySelector(".mediagen-lightbox-body");
const MARK = "#asset-";

let shown = null;
let asking = null;

function idInAddress() {
  return location.hash.startsWith(MARK) ? location.hash.slice(MARK.length) : null;
}

async function show(id, { focus = true } = {}) {
  shown = id;
  saw(id);
  asking?.abort();
  const mine = (asking = new AbortController());
  if (!box.open) {
    body.replaceChildren(waiting());
    box.showModal();
  }
  buttons();
  try {
    tell(await askHtml(forId(box.dataset.story, id), { signal: mine.signal }), focus);
  } catch (error) {
    if (error.name === "AbortError") return;
    note(error.message, { problem: true });
    leave();
  }
}

function tell(html, focus) {
  const top = body.querySelector(".mediagen-panel")?.scrollTop ?? 0;
  const had = body.contains(document.activeElement) && document.activeElement;
  const at = had ? (had.closest("[data-action]")?.dataset.action ?? "") : null;
  const star = (had && had.dataset.star) || null;
  body.replaceChildren(...elements(html));
  // What was pressed may be gone: then what it was about.
  const again = at && body.querySelector(star ? `[data-star="${star}"]` : `[data-action="${at}"] :is(button, summary)`);
  if (at !== null && again) again.focus({ preventScroll: true });
  else if (focus || at !== null) body.querySelector(".mediagen-title")?.focus({ preventScroll: true });
  if (!focus) body.querySelector(".mediagen-panel").scrollTop = top;
}

function waiting() {
  const place = document.createElement("p");
  place.className = "mediagen-waiting";
  const spinner = document.createElement("span");
  spinner.className = "mediagen-spinner";
  place.append(spinner);
  return place;
}

function neighbour(step) {
  const all = tiles();
  const here = all.findIndex((tile) => tile.dataset.asset === shown);
  return here < 0 ? null : (all[here + step] ?? null);
}

function buttons() {
  box.querySelector("[data-go=previous]").disabled = !neighbour(-1);
  box.querySelector("[data-go=next]").disabled = !neighbour(1);
}

function go(step) {
  const to = neighbour(step);
  if (!to) return;
  history.replaceState(history.state, "", MARK + to.dataset.asset);
  show(to.dataset.asset);
}

// Closing is going back, when opening was going forward.
function leave() {
  if (history.state?.mediagenOpened) history.back();
  else {
    history.replaceState(null, "", location.pathname + location.search);
    follow();
  }
}

function follow() {
  const id = idInAddress();
  if (id) {
    if (id !== shown) show(id);
    return;
  }
  if (!box.open) return;
  asking?.abort();
  box.close();
  body.replaceChildren();
  const tile = tileOf(shown);
  shown = null;
  tile?.querySelector("a")?.focus();
}

function press(event) {
  const where = event.target.closest("[data-go]")?.dataset.go;
  if (where === "close") leave();
  else if (where) go(where === "next" ? 1 : -1);
}

function key(event) {
  if (event.target.closest("input, textarea, select") || event.altKey || event.ctrlKey || event.metaKey) return;
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (step) go(getComputedStyle(box).direction === "rtl" ? -step : step);
}

// The prompt of a picture into the prompt box, in the gallery as it is narrowed now.
function edit(event) {
  const link = event.target.closest("a[data-from]");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const query = new URLSearchParams(location.search);
  for (const name of ["before", "said", "about"]) query.delete(name);
  query.set("from", link.dataset.from);
  location.assign(`${location.pathname}?${query}`);
}

export function start() {
  body.addEventListener("click", edit);
  body.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-show]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    history.replaceState(history.state, "", MARK + link.dataset.show);
    show(link.dataset.show);
  });
  grid.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-story]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const id = link.parentElement.dataset.asset;
    history.pushState({ mediagenOpened: true }, "", MARK + id);
    show(id);
  });
  box.addEventListener("click", press);
  box.addEventListener("keydown", key);
  box.addEventListener("cancel", (event) => {
    event.preventDefault(); // Esc: by our way, so that the address follows
    leave();
  });
  box.addEventListener("close", home);
  window.addEventListener("popstate", follow);
  document.addEventListener("mediagen:changed", ({ detail }) => {
    // What somebody is writing here is not taken away.
    const isWritten = [...body.querySelectorAll("input, textarea")].some((field) => field.value !== field.defaultValue);
    if (detail.id === shown && !isWritten) show(shown, { focus: false });
  });
  document.addEventListener("mediagen:told", ({ detail }) => {
    if (detail.id === shown) tell(detail.story, false);
  });
  document.addEventListener("mediagen:gone", ({ detail }) => detail.id === shown && leave());
  follow();
}
