// The pictures that were opened last, kept by this browser for each of its people.
import { words } from "./notes.js";

const KEY = `mediagen-seen-${words.user}`;
const MOST = 24;

function ids() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? [];
  } catch {
    return []; // a browser that keeps nothing
  }
}

export function saw(id) {
  try {
    localStorage.setItem(KEY, JSON.stringify([id, ...ids().filter((each) => each !== id)].slice(0, MOST)));
  } catch {
    // The same.
  }
  show();
}

function show() {
  const link = document.querySelector("[data-seen]");
  if (!link || !ids().length) return;
  link.href = `${link.dataset.seen}?seen=${ids()}`;
  link.parentElement.hidden = false;
}

export function start() {
  const own = document.querySelector("[data-page=asset]");
  if (own) saw(own.dataset.assetPage);
  show();
}
