// Many pictures: ticked by click, Shift and the space bar, or all that a search finds; and what is done to them.
import { takeBack } from "./actions.js";
import { askJson, send } from "./ask.js";
import { grid, takeAway, wasHere } from "./grid.js";
import { note, words } from "./notes.js";
import { refresh } from "./progress.js";

const form = document.getElementById("mediagen-many");
const JOB_MS = 1000;
let last = null;

function boxes() {
  return [...grid.querySelectorAll(".mediagen-pick")];
}

function tell() {
  const line = form.querySelector(".mediagen-chosen-count");
  const number = boxes().filter((box) => box.checked).length;
  line.textContent = number === 1 ? line.dataset.one : `${number} ${line.dataset.many}`;
  line.hidden = form.elements.all.checked;
}

function tick(box, on, range) {
  const all = boxes();
  const [from, to] = [all.indexOf(last), all.indexOf(box)].sort((a, b) => a - b);
  if (range && from >= 0) for (const each of all.slice(from, to + 1)) each.checked = on;
  box.checked = on;
  last = box;
  tell();
}

function click(event) {
  const box = event.target.closest(".mediagen-pick");
  if (box) tick(box, box.checked, event.shiftKey);
}

function key(event) {
  if (event.key !== " " || !event.target.matches(".mediagen-tile > a")) return;
  event.preventDefault();
  const box = event.target.parentElement.querySelector(".mediagen-pick");
  tick(box, !box.checked, event.shiftKey);
}

async function countAll() {
  const place = form.querySelector("[data-count]");
  place.textContent = "";
  tell();
  if (!form.elements.all.checked) return;
  try {
    const { count, most } = await askJson(`${form.action}${location.search}`);
    place.textContent = `(${count > most ? `> ${most}` : count})`;
  } catch (error) {
    note(error.message, { problem: true });
  }
}

async function act(event) {
  event.preventDefault();
  const chosen = boxes().filter((box) => box.checked);
  const near = chosen[0]?.closest(".mediagen-tile");
  try {
    const answer = await send(form, { extra: { do: event.submitter?.value ?? "" } });
    if (answer.next) return location.assign(answer.next);
    form.reset();
    if (answer.job) follow(answer.job);
    else await took(answer, near);
  } catch (error) {
    note(error.message, { problem: true });
  }
}

async function took(answer, near) {
  const token = form.elements.csrfmiddlewaretoken.value;
  const here = answer.changed.filter(wasHere);
  // The bar goes with the choice: the focus goes back to where that was made.
  if (answer.gone) {
    let next = null;
    for (const id of here) next = takeAway(id);
    next?.querySelector("a")?.focus();
    note(answer.message, answer.undo ? { button: words.undo, onButton: () => takeBack(answer.undo, token, here) } : {});
    return;
  }
  near?.querySelector("a")?.focus();
  const { open } = answer;
  if (open && !form.querySelector(`[name=board] [value="${open.id}"]`)) form.elements.board.add(new Option(open.name, open.id));
  note(answer.message, open ? { button: words.open, onButton: () => location.assign(open.address) } : {});
  await refresh(here);
}

// A job: its line stays until it is over.
async function follow(address) {
  const line = note("...", { stays: true });
  try {
    for (;;) {
      const job = await askJson(address);
      line.firstElementChild.textContent = job.text;
      if (job.is_over) {
        if (job.file) location.assign(job.file);
        await refresh(boxes().map((box) => box.value));
        return;
      }
      await new Promise((done) => setTimeout(done, JOB_MS));
    }
  } catch (error) {
    note(error.message, { problem: true });
  }
}

export function start() {
  if (!form) return;
  grid.addEventListener("click", click);
  grid.addEventListener("keydown", key);
  form.addEventListener("submit", act);
  form.addEventListener("reset", () => {
    grid.querySelector(".mediagen-pick:checked")?.closest(".mediagen-tile").querySelector("a").focus();
    setTimeout(countAll);
  });
  form.elements.all.addEventListener("change", countAll);
  tell();
}
