// Pictures dropped anywhere on the page, pasted, chosen, or named by address, go up one by one.
import { Problem, send } from "./ask.js";
import { place } from "./grid.js";
import { note, words } from "./notes.js";

const form = document.getElementById("mediagen-upload");
const root = document.documentElement;
let inside = 0;

async function upload(files) {
  const lost = [];
  const told = new Set();
  for (const [index, file] of files.entries()) {
    const error = await one(file, `${index + 1}/${files.length}`);
    if (!error) continue;
    told.add(error.message);
    // What the site refuses it will refuse again; what was lost on the way may come through.
    if (!error.answer?.problem) lost.push(file);
  }
  const again = lost.length ? { button: `${words.again} (${lost.length})`, onButton: () => upload(lost) } : {};
  if (told.size) note([...told].join(" "), { problem: true, ...again });
}

// As if this one file, or no file (null) but an address, had been chosen. What went wrong, if anything.
async function one(file, which) {
  const line = note(`${words.uploading} ${which}`, { stays: true });
  form.setAttribute("aria-busy", "true");
  try {
    const answer = await posted(file, (share) => (line.firstElementChild.textContent = `${words.uploading} ${which}: ${share} %`));
    const [tile] = place(answer.html, { first: true });
    tile?.scrollIntoView({ block: "nearest" });
    line.remove();
    note(`${words.uploaded} ${file?.name ?? form.elements.address.value}`);
    for (const hint of answer.hints ?? []) note(hint, { stays: true });
    if (!file) form.elements.address.value = "";
  } catch (error) {
    line.remove();
    return error;
  } finally {
    form.removeAttribute("aria-busy");
  }
}

// Only this kind of request says how far an upload is.
function posted(file, tell) {
  if (!file) return send(form);
  const body = new FormData(form);
  body.set("files", file);
  body.delete("address");
  return new Promise((done, fail) => {
    const request = new XMLHttpRequest();
    request.open("POST", form.action);
    request.responseType = "json";
    request.setRequestHeader("Accept", "application/json");
    request.upload.onprogress = (event) => event.lengthComputable && tell(Math.round((100 * event.loaded) / event.total));
    request.onerror = () => fail(new Problem(words.offline));
    request.onload = () => {
      if (request.status < 300 && request.response) done(request.response);
      else fail(new Problem(request.response?.problem ?? `${words.offline} (${request.status})`, request.response ?? {}));
    };
    request.send(body);
  });
}

// Pictures of this page that are dragged look like files, too.
let isOurs = false;

function hasFiles(event) {
  return !isOurs && event.dataTransfer?.types.includes("Files");
}

export function start() {
  if (!form) return;
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const inputs = [...form.querySelectorAll("[type=file]")];
    const files = inputs.flatMap((input) => [...input.files]);
    // With neither the site says what is missing.
    await upload(form.elements.address.value || !files.length ? [...files, null] : files);
    for (const input of inputs) input.value = "";
  });
  document.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])].filter((file) => file.type.startsWith("image/"));
    if (!files.length) return;
    event.preventDefault();
    upload(files);
  });
  document.addEventListener("dragstart", () => (isOurs = true));
  document.addEventListener("dragend", () => (isOurs = false));
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
