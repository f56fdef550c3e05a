// What others do is seen here too: changed tiles change, deleted ones go, and new pictures wait behind a note. The stream
// only says what to look at. It is open while the page is looked at: browsers allow a host few connections.
import { askJson, elements } from "./ask.js";
import { grid, isNewestFirst, place, takeAway, tileOf, tiles } from "./grid.js";
import { words } from "./notes.js";
import { look, streams } from "./progress.js";

const page = document.querySelector("[data-events]");
const GATHER_MS = 800;

let source = null;
let timer = 0;
let wasOpen = false;

function hear(event) {
  const { changed, gone, new: fresh } = JSON.parse(event.data);
  for (const id of gone) {
    takeAway(id);
    document.dispatchEvent(new CustomEvent("mediagen:gone", { detail: { id } }));
  }
  look(changed.filter((id) => tileOf(id) || document.querySelector(`[data-story-of="${id}"], [data-asset-page="${id}"]`)));
  if (fresh && grid && isNewestFirst() && !new URLSearchParams(location.search).has("before")) {
    clearTimeout(timer);
    timer = setTimeout(offer, GATHER_MS);
  }
}

async function found() {
  const address = new URL(location.href);
  address.searchParams.set("part", "1");
  const { html } = await askJson(address);
  return elements(html).filter((tile) => !tileOf(tile.dataset.asset));
}

// How many of the new ones are of this search; they come when they are asked for.
async function offer() {
  const shown = new Set(tiles().map((tile) => tile.dataset.asset));
  const newest = tiles()[0]?.dataset.asset ?? "";
  const fresh = (await found().catch(() => [])).filter((tile) => tile.dataset.asset > newest && !shown.has(tile.dataset.asset));
  let button = document.querySelector(".mediagen-new");
  if (!fresh.length) return button?.remove();
  if (!button) {
    button = document.createElement("button");
    button.type = "button";
    button.className = "mediagen-new";
    button.addEventListener("click", show);
    grid.before(button);
  }
  button.textContent = `${fresh.length} ${fresh.length === 1 ? words.newOne : words.newMany}`;
}

async function show(event) {
  event.target.remove();
  const newest = tiles()[0]?.dataset.asset ?? "";
  const fresh = (await found()).filter((tile) => tile.dataset.asset > newest);
  place(fresh.map((tile) => tile.outerHTML).join(""), { first: true })[0]?.querySelector("a").focus();
}

function follow() {
  source?.close();
  source = null;
  if (document.hidden) return streams(false);
  source = new EventSource(page.dataset.events);
  source.onmessage = hear;
  source.onopen = () => {
    streams(true);
    // What happened in between was not heard.
    if (wasOpen) look(tiles().map((tile) => tile.dataset.asset)).then(() => grid && offer());
    wasOpen = true;
  };
  source.onerror = () => streams(false);
}

export function start() {
  if (!page || !window.EventSource) return;
  document.addEventListener("visibilitychange", follow);
  window.addEventListener("pagehide", () => source?.close());
  follow();
}
