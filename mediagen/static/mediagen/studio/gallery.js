// The gallery without pages, and with the arrow keys.
import { askJson } from "./ask.js";
import { grid, place, tiles } from "./grid.js";
import { note, say, words } from "./notes.js";
import { watch } from "./progress.js";

const older = document.querySelector("a[data-older]");
let loading = false;

async function more() {
  if (loading || !older.isConnected) return;
  loading = true;
  older.setAttribute("aria-busy", "true");
  try {
    const address = new URL(older.href);
    address.searchParams.set("part", "1");
    const answer = await askJson(address);
    place(answer.html);
    say(words.more);
    watch();
    if (answer.older) older.href = answer.older;
    else older.closest("nav").remove();
  } catch (error) {
    note(error.message, { problem: true });
    seen?.disconnect(); // the link stays, to be pressed
  } finally {
    loading = false;
    older.removeAttribute("aria-busy");
    // Still in sight when the window is higher than what came.
    if (older.isConnected && seen) {
      seen.unobserve(older);
      seen.observe(older);
    }
  }
}

let seen = null;

// The tile of the row above or below that stands nearest.
function across(here, direction) {
  const middle = (tile) => tile.offsetLeft + tile.offsetWidth / 2;
  const all = tiles();
  const beyond = all.filter((tile) => (tile.offsetTop - here.offsetTop) * direction > 4);
  const top = (direction > 0 ? beyond[0] : beyond.at(-1))?.offsetTop;
  const row = beyond.filter((tile) => Math.abs(tile.offsetTop - top) <= 4);
  return row.sort((one, other) => Math.abs(middle(one) - middle(here)) - Math.abs(middle(other) - middle(here)))[0];
}

function beside(here, step) {
  const all = tiles();
  return all[all.indexOf(here) + (getComputedStyle(grid).direction === "rtl" ? -step : step)];
}

export const STEPS = {
  ArrowRight: (here) => beside(here, 1),
  ArrowLeft: (here) => beside(here, -1),
  ArrowDown: (here) => across(here, 1),
  ArrowUp: (here) => across(here, -1),
  Home: () => tiles()[0],
  End: () => tiles().at(-1),
};

function walk(event) {
  const link = event.target.closest(".mediagen-tile > a");
  if (!link || !(event.key in STEPS) || event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  STEPS[event.key](link.parentElement)?.querySelector("a").focus();
}

// An address with what was asked for, and without the questions that were left open.
function leaveOut(event) {
  for (const [name, value] of [...event.formData]) if (value === "") event.formData.delete(name);
}

export function start() {
  document.getElementById("mediagen-filter").addEventListener("formdata", leaveOut);
  grid.addEventListener("keydown", walk);
  if (!older) return;
  older.addEventListener("click", (event) => {
    event.preventDefault();
    more();
  });
  seen = new IntersectionObserver((entries) => entries.some((entry) => entry.isIntersecting) && more(), {
    rootMargin: "600px 0px",
  });
  seen.observe(older);
}
