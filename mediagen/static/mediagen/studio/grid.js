// The tiles of the page.
import { elements } from "./ask.js";

export const grid = document.getElementById("mediagen-grid");

export function tileOf(id) {
  return document.getElementById(`asset-${id}`);
}

export function tiles() {
  return grid ? [...grid.children] : [];
}

// New tiles at the front or the end; those that are there are replaced where they are.
export function place(html, { first = false } = {}) {
  const fresh = [];
  for (const tile of elements(html)) {
    const there = document.getElementById(tile.id);
    if (there) replace(there, tile);
    else fresh.push(tile);
  }
  if (first) grid.prepend(...fresh);
  else grid.append(...fresh);
  document.querySelector(".mediagen-nothing")?.remove();
  return fresh;
}

// Where a tile that was taken away has stood, for when it comes back.
const gaps = new Map();
export const isNewestFirst = () => !new URLSearchParams(location.search).get("sort") && !("inOrder" in grid.dataset);

export const wasHere = (id) => Boolean(tileOf(id)) || gaps.has(id);

export function takeAway(id) {
  const tile = tileOf(id);
  if (!tile) return null;
  const next = tile.nextElementSibling;
  gaps.set(id, next);
  for (const [other, after] of gaps) if (after === tile) gaps.set(other, next);
  const near = next ?? tile.previousElementSibling;
  tile.remove();
  return near;
}

export function putBack(html) {
  const [tile] = elements(html);
  const id = tile.dataset.asset;
  // Ids grow with time.
  const next = isNewestFirst() ? tiles().find((other) => other.dataset.asset < id) : gaps.get(id);
  if (tileOf(id)) replace(tileOf(id), tile);
  else if (next?.isConnected) next.before(tile);
  else grid.append(tile);
  gaps.delete(id);
  document.querySelector(".mediagen-nothing")?.remove();
  return tile;
}

export function replace(there, tile) {
  const had = there.contains(document.activeElement) && document.activeElement;
  if (there.dataset.state !== tile.dataset.state && tile.dataset.state === "ready") tile.classList.add("mediagen-arrived");
  const box = tile.querySelector(".mediagen-pick");
  if (box) box.checked = there.querySelector(".mediagen-pick")?.checked ?? false;
  there.replaceWith(tile);
  if (had) tile.querySelector(had.matches(".mediagen-pick") ? ".mediagen-pick" : "a")?.focus({ preventScroll: true });
}
