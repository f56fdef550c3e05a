// A picture on the easel: a brush for what may change, a frame for what stays, a point that must be seen. What is drawn
// stands in the fields of the forms, so that the keyboard gets as far as the mouse.
import { send } from "./ask.js";
import { note } from "./notes.js";

const easel = document.querySelector("[data-easel]");
const LONGEST_PX = 1536; // of a mask: services want no finer one
const STEP = 0.02;

let canvas, brush, pen, mode;
let strokes = [];
let at = { x: 0.5, y: 0.5 };

const tool = () => document.querySelector(".mediagen-tool[open]");
const field = (name) => tool()?.querySelector(`[name="${name}"]`);
const natural = () => [Number(easel.dataset.width), Number(easel.dataset.height)];

function place(event) {
  const box = canvas.getBoundingClientRect();
  const within = (value) => Math.min(1, Math.max(0, value));
  return { x: within((event.clientX - box.left) / box.width), y: within((event.clientY - box.top) / box.height) };
}

function draw() {
  pen.clearRect(0, 0, canvas.width, canvas.height);
  if (mode === "paint") paint(pen, canvas.width, canvas.height, "#6557f2");
  if (mode === "crop") frame();
  if (mode === "focus") cross(field("focal_x").value / 100, field("focal_y").value / 100);
  if (mode === "paint" && document.activeElement === canvas) cross(at.x, at.y);
}

function paint(pen, width, height, colour) {
  pen.strokeStyle = pen.fillStyle = colour;
  pen.lineCap = pen.lineJoin = "round";
  for (const { points, size } of strokes) {
    pen.lineWidth = size * Math.max(width, height);
    pen.beginPath();
    for (const { x, y } of points) pen.lineTo(x * width, y * height);
    if (points.length === 1) pen.lineTo(points[0].x * width + 0.1, points[0].y * height);
    pen.stroke();
  }
}

function cross(x, y) {
  pen.lineWidth = 3;
  for (const [colour, radius] of [["#fff", 12], ["#6557f2", 9]]) {
    pen.strokeStyle = colour;
    pen.beginPath();
    pen.arc(x * canvas.width, y * canvas.height, radius, 0, 7);
    pen.stroke();
  }
}

function cropped() {
  const [width, height] = natural();
  const value = (name) => Number(field(name).value);
  return [value("x") / width, value("y") / height, value("width") / width, value("height") / height];
}

function frame() {
  const [x, y, w, h] = cropped();
  pen.fillStyle = "rgb(8 9 13 / 65%)";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  pen.clearRect(x * canvas.width, y * canvas.height, w * canvas.width, h * canvas.height);
}

function setCrop(from, to) {
  const [width, height] = natural();
  const shape = Number(tool().querySelector("[data-shape]").value);
  let w = Math.max(1, Math.round(Math.abs(to.x - from.x) * width));
  let h = Math.max(1, Math.round(Math.abs(to.y - from.y) * height));
  if (shape) {
    h = Math.round(w / shape);
    const room = to.y < from.y ? Math.round(from.y * height) : height - Math.round(from.y * height);
    if (h > room) [h, w] = [Math.max(1, room), Math.max(1, Math.round(room * shape))];
  }
  const x = Math.round(to.x < from.x ? from.x * width - w : from.x * width);
  const y = Math.round(to.y < from.y ? from.y * height - h : from.y * height);
  for (const [name, value] of Object.entries({ x: Math.max(0, x), y: Math.max(0, y), width: w, height: h })) field(name).value = value;
}

function down(event) {
  if (!mode || event.button) return;
  event.preventDefault();
  canvas.setPointerCapture(event.pointerId);
  const from = place(event);
  if (mode === "paint") strokes.push({ points: [from], size: brush.value / 100 });
  const move = (next) => {
    const to = place(next);
    if (mode === "paint") strokes.at(-1).points.push(to);
    if (mode === "crop") setCrop(from, to);
    if (mode === "focus") point(to);
    draw();
  };
  if (mode === "focus") point(from);
  canvas.addEventListener("pointermove", move);
  canvas.addEventListener("lostpointercapture", () => canvas.removeEventListener("pointermove", move), { once: true });
  draw();
}

function point({ x, y }) {
  field("focal_x").value = Math.round(x * 100);
  field("focal_y").value = Math.round(y * 100);
}

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

function key(event) {
  const step = ARROWS[event.key];
  if (mode !== "paint" || !(step || event.key === " ")) return;
  event.preventDefault();
  if (step) at = { x: Math.min(1, Math.max(0, at.x + step[0] * STEP)), y: Math.min(1, Math.max(0, at.y + step[1] * STEP)) };
  else strokes.push({ points: [at], size: brush.value / 100 });
  draw();
}

// White where it may change, black elsewhere.
function mask() {
  const [width, height] = natural();
  const scale = Math.min(1, LONGEST_PX / Math.max(width, height));
  const sheet = new OffscreenCanvas(Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale)));
  const pen = sheet.getContext("2d");
  pen.fillStyle = "#000";
  pen.fillRect(0, 0, sheet.width, sheet.height);
  paint(pen, sheet.width, sheet.height, "#fff");
  return sheet.convertToBlob({ type: "image/png" });
}

function choose() {
  mode = tool()?.dataset.mode ?? "";
  canvas.classList.toggle("mediagen-idle", !mode);
  draw();
}

async function work(event) {
  const form = event.target.closest("form[data-work]");
  if (!form) return;
  event.preventDefault();
  if (form.getAttribute("aria-busy") === "true") return;
  form.setAttribute("aria-busy", "true");
  try {
    const extra = event.submitter?.name ? { [event.submitter.name]: event.submitter.value } : {};
    if (form.elements.mask && strokes.length) extra.mask = new File([await mask()], "mask.png", { type: "image/png" });
    const answer = await send(form, { extra, action: location.pathname });
    if (answer.next) return location.assign(answer.next);
    const line = form.querySelector(".mediagen-price");
    line.textContent = answer.text;
    line.classList.toggle("mediagen-too-much", answer.is_too_much);
  } catch (error) {
    note(error.message, { problem: true });
  } finally {
    form.removeAttribute("aria-busy");
  }
}

export function start() {
  if (!easel) return;
  brush = document.querySelector("[data-brush]");
  canvas = document.createElement("canvas");
  canvas.tabIndex = 0;
  canvas.setAttribute("role", "img");
  canvas.setAttribute("aria-label", easel.querySelector("img").alt);
  const [width, height] = natural();
  canvas.width = 1000;
  canvas.height = Math.max(1, Math.round((1000 * height) / width));
  pen = canvas.getContext("2d");
  easel.firstElementChild.append(canvas);
  for (const [name, handle] of Object.entries({ pointerdown: down, keydown: key, focus: draw, blur: draw })) canvas.addEventListener(name, handle);
  document.querySelector("[data-undo-stroke]").addEventListener("click", () => (strokes.pop(), draw()));
  document.querySelector("[data-clear]").addEventListener("click", () => ((strokes = []), draw()));
  document.querySelector("[data-zoom]").addEventListener("input", (event) => easel.style.setProperty("--mg-zoom", `${event.target.value}%`));
  document.addEventListener("submit", work);
  document.addEventListener("input", draw);
  for (const each of document.querySelectorAll(".mediagen-tool")) each.addEventListener("toggle", choose);
  choose();
}
