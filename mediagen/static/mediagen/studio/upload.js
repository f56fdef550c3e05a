// Pictures dropped anywhere on the page, or chosen, go up one by one.
import { send } from "./ask.js";
import { place } from "./grid.js";
import { note, say, words } from "./notes.js";

const form = document.getElementById("mediagen-upload");
const root = document.documentElement;
let inside = 0;

async function upload(files) {
  for (const [index, file] of files.entries()) {
    say(`${words.uploading} ${index + 1}/${files.length}`);
    form.setAttribute("aria-busy", "true");
    try {
      // As if this one file had been chosen.
      const answer = await send(form, { extra: { files: file } });
      const [tile] = place(answer.html, { first: true });
      tile?.scrollIntoView({ block: "nearest" });
      note(`${words.uploaded} ${file.name}`);
    } catch (error) {
      note(error.message, { problem: true });
    } finally {
      form.removeAttribute("aria-busy");
    }
  }
}

function hasFiles(event) {
  return event.dataTransfer?.types.includes("Files");
}

export function start() {
  if (!form) return;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    await upload([...form.elements.files.files]);
    form.elements.files.value = "";
  });
  document.addEventListener("dragenter", (event) => {
    if (hasFiles(event) && ++inside) root.classList.add("mediagen-dropping");
  });
  document.addEventListener("dragleave", (event) => {
    if (hasFiles(event) && --inside <= 0) stop();
  });
  document.addEventListener("dragover", (event) => {
    if (hasFiles(event)) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    stop();
    upload([...event.dataTransfer.files]);
  });
}

function stop() {
  inside = 0;
  root.classList.remove("mediagen-dropping");
}
