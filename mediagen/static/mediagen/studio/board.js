// The pictures of a board are put into another order: dragged, or moved with Shift and the arrow keys.
import { askJson } from "./ask.js";
import { STEPS } from "./gallery.js";
import { grid, tiles } from "./grid.js";
import { note, say, words } from "./notes.js";

let dragged = null;
let home = null;

async function keep(tile) {
  const body = new FormData();
  body.set("csrfmiddlewaretoken", document.querySelector("[name=csrfmiddlewaretoken]").value);
  body.set("do", "place");
  body.set("id", tile.dataset.asset);
  const next = tile.nextElementSibling;
  body.set(next ? "before" : "after", (next ?? tile.previousElementSibling)?.dataset.asset ?? "");
  say(`${words.place} ${tiles().indexOf(tile) + 1}`);
  try {
    await askJson(grid.dataset.board, { method: "POST", body });
  } catch (error) {
    note(error.message, { problem: true });
  }
}

const isLater = (tile, other) => tile.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING;

function put(tile, at) {
  if (isLater(tile, at)) at.after(tile);
  else at.before(tile);
}

function key(event) {
  const link = event.target.closest(".mediagen-tile > a");
  if (!link || !event.shiftKey || !(event.key in STEPS) || event.altKey || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  const tile = link.parentElement;
  const at = STEPS[event.key](tile);
  if (!at || at === tile) return;
  put(tile, at);
  link.focus();
  keep(tile);
}

export function start() {
  if (!grid.dataset.board) return;
  grid.addEventListener("keydown", key);
  grid.addEventListener("dragstart", (event) => {
    dragged = event.target.closest(".mediagen-tile");
    home = dragged.nextElementSibling;
    event.dataTransfer.effectAllowed = "move";
  });
  grid.addEventListener("dragover", (event) => {
    if (!dragged) return;
    event.preventDefault();
    const over = event.target.closest(".mediagen-tile");
    if (over && over !== dragged) put(dragged, over);
  });
  grid.addEventListener("drop", (event) => dragged && event.preventDefault());
  grid.addEventListener("dragend", (event) => {
    if (event.dataTransfer.dropEffect === "none") grid.insertBefore(dragged, home);
    else if (dragged.nextElementSibling !== home) keep(dragged);
    dragged = null;
  });
}
