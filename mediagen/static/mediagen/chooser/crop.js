// The crop of one use: a text in a form becomes a button with a dialog behind it, in which a frame is moved over the
// picture that the form's chooser has. The text stays what the form sends: "16:9@0.3,0.45", or nothing.
const STEP = 0.01;
const FAR = 0.1;

const chooserOf = (crop) =>
  document.getElementsByName(crop.dataset.mediagenCrop)[0]?.closest("[data-mediagen-chooser]") ?? null;
const inputOf = (crop) => crop.querySelector("input");
const pictureOf = (crop) => chooserOf(crop)?.querySelector(".mediagen-chosen [data-src]") ?? null;
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

function read(text) {
  const [ratio, point] = text.split("@");
  const [x, y] = (point ?? "").split(",").map(Number);
  return point && Number.isFinite(x) && Number.isFinite(y) ? { ratio, x, y } : null;
}

function show(crop) {
  inputOf(crop).hidden = true;
  const line = crop.querySelector(".mediagen-crop-line");
  if (!line) return;
  line.hidden = false;
  const now = read(inputOf(crop).value);
  line.querySelector("[data-now]").textContent = now ? [now.ratio, told(crop, now)].filter(Boolean).join(", ") : crop.dataset.none;
}

function told(crop, { x, y }) {
  return crop.dataset.at.replace("%x", Math.round(x * 100)).replace("%y", Math.round(y * 100));
}

function write(crop, text) {
  const input = inputOf(crop);
  input.value = text;
  input.dispatchEvent(new Event("change", { bubbles: true }));
  show(crop);
}

const all = () => document.querySelectorAll("[data-mediagen-crop]");
all().forEach(show);
document.addEventListener("formset:added", (event) => {
  event.target.querySelectorAll?.("[data-mediagen-crop]").forEach(show);
});

// Another picture: what was cut of the one before says nothing of it.
document.addEventListener("change", (event) => {
  if (!event.target.matches?.("[data-mediagen-chooser] select")) return;
  for (const crop of all()) {
    if (crop.dataset.mediagenCrop === event.target.name && inputOf(crop).value) write(crop, "");
  }
});

// ---------------------------------------------------------------- the dialog

const dialog = document.createElement("dialog");
dialog.className = "mediagen-chooser-dialog mediagen-crop-dialog";
dialog.setAttribute("aria-labelledby", "mediagen-crop-title");
dialog.innerHTML =
  '<div class="mediagen-chooser-bar"><h2 id="mediagen-crop-title"></h2></div><div class="mediagen-chooser-body">' +
  '<p role="alert" data-problem hidden></p><fieldset class="mediagen-crop-shapes"><legend></legend></fieldset>' +
  '<div class="mediagen-crop-stage"><img alt="" draggable="false"><div class="mediagen-crop-frame" role="group" tabindex="0" aria-describedby="mediagen-crop-help"></div></div>' +
  '<p class="mediagen-crop-help" id="mediagen-crop-help"></p><p class="mediagen-crop-help" role="status" aria-live="polite" data-at></p>' +
  '<div class="mediagen-crop-foot"><button type="submit" data-done></button><button type="button" data-reset></button><button type="button" data-cancel></button></div></div>';
const part = (selector) => dialog.querySelector(selector);
const frame = part(".mediagen-crop-frame");
const image = part("img");
let root = null;
let state = { ratio: "", x: 0.5, y: 0.5 };
let held = null;

function open(crop) {
  const picture = pictureOf(crop);
  root = crop;
  const words = crop.dataset;
  part("h2").textContent = words.title;
  part("[data-done]").textContent = words.done;
  part("[data-reset]").textContent = words.reset;
  part("[data-cancel]").textContent = words.cancel;
  part("#mediagen-crop-help").textContent = words.help;
  part("legend").textContent = words.shape;
  frame.setAttribute("aria-label", words.frame);
  const problem = part("[data-problem]");
  problem.textContent = words.first;
  problem.hidden = Boolean(picture);
  for (const selector of ["fieldset", ".mediagen-crop-stage", ".mediagen-crop-help", "[data-at]", "[data-done]", "[data-reset]"]) {
    part(selector).hidden = !picture;
  }
  if (!dialog.isConnected) (crop.closest("dialog, .modal") ?? document.body).append(dialog);
  if (picture) {
    state = read(inputOf(crop).value) ?? {
      ratio: words.ratios.split(" ")[0],
      x: Number(picture.dataset.focalX || 0.5),
      y: Number(picture.dataset.focalY || 0.5),
    };
    shapes(words);
    image.src = picture.dataset.large || picture.src;
  }
  dialog.showModal();
  (picture ? frame : part("[data-cancel]")).focus();
  if (image.complete) draw();
}

function shapes(words) {
  const set = part("fieldset");
  set.querySelectorAll("label").forEach((label) => label.remove());
  for (const ratio of [...words.ratios.split(" ").filter(Boolean), ""]) {
    const label = document.createElement("label");
    const input = document.createElement("input");
    input.type = "radio";
    input.name = "mediagen-crop-shape";
    input.value = ratio;
    input.checked = ratio === state.ratio;
    label.append(input, ratio || words.free);
    set.append(label);
  }
}

// What the server cuts: the largest part of that shape, its middle as near to the point as the edges let it. Without a
// shape the frame only says where the middle is.
function seen() {
  if (!state.ratio) return [0.2, 0.2];
  const [width, height] = state.ratio.split(/[:/]/).map(Number);
  const wanted = width / (height || 1);
  const own = image.naturalWidth / image.naturalHeight;
  return own > wanted ? [wanted / own, 1] : [1, own / wanted];
}

function draw() {
  if (!image.naturalWidth || !root) return;
  const [width, height] = seen();
  const left = clamp(state.x - width / 2, 0, 1 - width);
  const top = clamp(state.y - height / 2, 0, 1 - height);
  Object.assign(frame.style, { left: `${left * 100}%`, top: `${top * 100}%`, width: `${width * 100}%`, height: `${height * 100}%` });
  part("[data-at]").textContent = told(root, state);
}

function moveTo(x, y) {
  const [width, height] = state.ratio ? seen() : [0, 0];
  state.x = Math.round(clamp(x, width / 2, 1 - width / 2) * 100) / 100;
  state.y = Math.round(clamp(y, height / 2, 1 - height / 2) * 100) / 100;
  draw();
}

image.addEventListener("load", draw);

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button[data-crop]");
  if (button) open(button.closest("[data-mediagen-crop]"));
});

dialog.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if ("done" in button.dataset) write(root, `${state.ratio}@${state.x},${state.y}`);
  if ("reset" in button.dataset) write(root, "");
  dialog.close();
});

dialog.addEventListener("close", () => root?.querySelector("button[data-crop]")?.focus());

dialog.addEventListener("change", (event) => {
  if (event.target.type !== "radio") return;
  event.stopPropagation();
  state.ratio = event.target.value;
  moveTo(state.x, state.y);
});

frame.addEventListener("keydown", (event) => {
  const way = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
  if (!way) return;
  event.preventDefault();
  const step = event.shiftKey ? FAR : STEP;
  moveTo(state.x + way[0] * step, state.y + way[1] * step);
});

frame.addEventListener("pointerdown", (event) => {
  const box = image.getBoundingClientRect();
  held = { x: state.x - event.clientX / box.width, y: state.y - event.clientY / box.height };
  frame.setPointerCapture(event.pointerId);
  event.preventDefault();
  frame.focus();
});

frame.addEventListener("pointermove", (event) => {
  if (!held) return;
  const box = image.getBoundingClientRect();
  moveTo(held.x + event.clientX / box.width, held.y + event.clientY / box.height);
});

for (const name of ["pointerup", "pointercancel"]) frame.addEventListener(name, () => (held = null));
