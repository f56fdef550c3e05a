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

export function replace(there, tile) {
  const had = there.contains(document.activeElement);
  if (there.dataset.state !== tile.dataset.state && tile.dataset.state === "ready") tile.classList.add("mediagen-arrived");
  there.replaceWith(tile);
  if (had) tile.querySelector("a")?.focus({ preventScroll: true });
}
