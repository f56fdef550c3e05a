// Tiles that are not settled are asked about until they are, where no stream says when to look. What is unsettled stands in the page, so a reload loses
// nothing. The questions become rarer while nothing changes, and stop while nobody looks.
import { askJson, elements } from "./ask.js";
import { replace, tileOf } from "./grid.js";
import { say, words } from "./notes.js";

const page = document.querySelector("[data-progress]");
const SHORTEST_MS = 1000;
const LONGEST_MS = 5000;
const SLOWER = 1.25;
const AT_ONCE = 100;

let wait = SHORTEST_MS;
let timer = 0;
let asking = false;
let streaming = false;
let looks = Promise.resolve();
const before = new Map();

function unsettled() {
  const ids = new Set([...document.querySelectorAll(".mediagen-tile[data-unsettled]")].map((tile) => tile.dataset.asset));
  const own = document.querySelector("[data-asset-page][data-unsettled]");
  if (own) ids.add(own.dataset.assetPage);
  const story = document.querySelector("[data-story-of][data-unsettled]");
  if (story) ids.add(story.dataset.storyOf);
  return [...ids].slice(0, AT_ONCE);
}

// Something was asked for: look soon.
export function watch() {
  wait = SHORTEST_MS;
  plan();
}

// Whether a stream says when there is something to see.
export function streams(on) {
  streaming = on;
  watch();
}

function plan() {
  clearTimeout(timer);
  if (!document.hidden && unsettled().length) timer = setTimeout(poll, wait);
}

// These as they are now; whether any of them has changed. One question after the other: an older answer must not come
// last.
export function look(ids) {
  return (looks = looks.catch(() => null).then(() => ask(ids)));
}

async function ask(ids) {
  let changed = false;
  for (let start = 0; start < ids.length; start += AT_ONCE) {
    const query = new URLSearchParams(ids.slice(start, start + AT_ONCE).map((id) => ["id", id]));
    const answer = await askJson(`${page.dataset.progress}?${query}`);
    for (const [id, now] of Object.entries(answer.tiles)) changed = take(id, now) || changed;
    for (const id of answer.gone) {
      tileOf(id)?.remove();
      changed = true;
    }
  }
  return changed;
}

async function poll() {
  if (asking) return;
  asking = true;
  try {
    const changed = await look(unsettled());
    wait = changed ? SHORTEST_MS : Math.min(wait * SLOWER, LONGEST_MS);
  } catch {
    wait = LONGEST_MS; // the site is away for a moment; the tiles say what was last known
  } finally {
    asking = false;
    // With a stream once is enough: what happened before the tiles were here.
    if (!streaming) plan();
  }
}

function take(id, now) {
  if (before.get(id) === now.html) return false;
  // The form's CSRF token is masked anew in every answer: that alone is no news.
  const same = plain(before.get(id)) === plain(now.html);
  before.set(id, now.html);
  if (same) return false;
  const [tile] = elements(now.html);
  const there = tileOf(id);
  const own = document.querySelector(`[data-asset-page="${id}"][data-unsettled]`);
  const waited = own || there?.dataset.unsettled !== undefined;
  if (there) replace(there, tile);
  const step = document.querySelector(`[data-asset-page="${id}"] .mediagen-preview .mediagen-step`);
  if (step) step.textContent = tile.querySelector(".mediagen-step")?.textContent ?? "";
  if (now.settled) {
    before.delete(id);
    if (waited) say(`${now.state === "ready" ? words.ready : words.failed} ${now.name}`);
  }
  tick();
  document.dispatchEvent(new CustomEvent("mediagen:changed", { detail: { id, settled: now.settled } }));
  if (now.settled && own) location.reload();
  return true;
}

// These tiles as they are now; the elements. `put` says where one goes, in its place if not said.
export async function refresh(ids, put = (html, id) => tileOf(id) && replace(tileOf(id), elements(html)[0])) {
  const placed = [];
  for (let start = 0; start < ids.length; start += AT_ONCE) {
    const part = ids.slice(start, start + AT_ONCE);
    const answer = await askJson(`${page.dataset.progress}?${new URLSearchParams(part.map((id) => ["id", id]))}`);
    for (const id of part) if (answer.tiles[id]) placed.push(put(answer.tiles[id].html, id));
  }
  return placed;
}

function plain(html) {
  return html?.replace(/name="csrfmiddlewaretoken" value="[^"]*"/g, "");
}

// The clock beside "Asking ...": seconds since that provider was asked.
function tick() {
  for (const clock of document.querySelectorAll(".mediagen-clock[data-since]")) {
    const seconds = Math.max(0, Math.round((Date.now() - 1000 * clock.dataset.since) / 1000));
    clock.textContent = `${seconds} ${words.seconds}`;
  }
}

export function start() {
  if (!page) return;
  document.addEventListener("visibilitychange", () => watch());
  setInterval(tick, 1000);
  tick();
  watch();
}
