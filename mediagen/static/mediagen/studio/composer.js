// The prompt box: says the price while one writes, sends without leaving the page, and shows the tiles at once.
import { send } from "./ask.js";
import { place } from "./grid.js";
import { note, words } from "./notes.js";
import { watch } from "./progress.js";

const form = document.getElementById("mediagen-composer");
const PAUSE_MS = 450;

let pricing = null;
let timer = 0;

function price() {
  clearTimeout(timer);
  timer = setTimeout(askPrice, PAUSE_MS);
}

async function askPrice() {
  pricing?.abort();
  if (!form.elements.prompt.value.trim()) {
    tellPrice("", false);
    return;
  }
  const asking = (pricing = new AbortController());
  try {
    const answer = await send(form, { extra: { estimate: "1" }, signal: asking.signal, action: location.pathname });
    tellPrice(answer.text, answer.is_too_much);
  } catch (error) {
    if (error.name === "AbortError") return;
    tellPrice(error.message, true, false);
  }
}

function tellPrice(text, isWrong, refused = isWrong) {
  const line = document.getElementById("mediagen-price");
  line.textContent = text;
  line.classList.toggle("mediagen-too-much", isWrong);
  form.querySelector("[data-generate]").disabled = refused;
}

async function generate(event) {
  if (event.submitter?.hasAttribute("formaction")) return; // to another page
  event.preventDefault();
  if (form.getAttribute("aria-busy") === "true") return;
  clearErrors();
  form.setAttribute("aria-busy", "true");
  clearTimeout(timer);
  pricing?.abort();
  try {
    const answer = await send(form, { action: location.pathname });
    form.elements.token.value = answer.token;
    form.elements.sure.checked = false;
    sessionStorage.removeItem(DRAFT);
    const fresh = place(answer.html, { first: true });
    note(words.asked);
    fresh[0]?.scrollIntoView({ block: "nearest" });
    watch();
    price(); // what is left of the budget is another sum now
  } catch (error) {
    showErrors(error);
  } finally {
    form.removeAttribute("aria-busy");
  }
}

function showErrors(error) {
  let shown = false;
  for (const [name, texts] of Object.entries(error.answer?.fields ?? {})) {
    const field = form.elements[name];
    const box = (field?.[0] ?? field)?.closest(".mediagen-field, .mediagen-ask, fieldset");
    if (!box) continue;
    const line = document.createElement("span");
    line.className = "mediagen-error";
    line.dataset.fresh = "";
    line.id = `problem-${name}`;
    line.textContent = [texts].flat().join(" ");
    box.classList.add("mediagen-wrong");
    box.append(line);
    box.closest("details")?.setAttribute("open", "");
    if (field instanceof Element) {
      field.setAttribute("aria-invalid", "true");
      field.setAttribute("aria-describedby", line.id);
      if (!shown) field.focus();
    }
    shown = true;
  }
  if (!shown) note(error.message, { problem: true });
}

function clearErrors() {
  for (const line of form.querySelectorAll(".mediagen-error")) line.remove();
  for (const box of form.querySelectorAll(".mediagen-wrong")) box.classList.remove("mediagen-wrong");
  for (const field of form.querySelectorAll("[aria-invalid]")) {
    field.removeAttribute("aria-invalid");
    field.removeAttribute("aria-describedby");
  }
}

// Only what can be used now is shown: the sides for an own size, the options of the chosen provider.
function fit() {
  const custom = form.querySelector("[data-custom]").checked;
  form.querySelector(".mediagen-own-size").classList.toggle("mediagen-chosen", custom);
  const provider = form.elements.provider.value;
  for (const option of form.querySelectorAll("[data-providers]")) {
    option.hidden = Boolean(provider) && !option.dataset.providers.split(" ").includes(provider);
  }
}

// What stands in braces is asked for in small fields: {colour}.
function variables() {
  const box = form.querySelector(".mediagen-variables");
  const found = form.elements.prompt.value.matchAll(/\{([\p{L}_][\p{L}\p{N}_]{0,39})\}/gu);
  const names = [...new Set([...found].map((match) => match[1]))].slice(0, 10);
  const had = [...box.children].map((field) => field.dataset.name);
  for (const field of [...box.children]) if (!names.includes(field.dataset.name)) field.remove();
  for (const name of names.filter((each) => !had.includes(each))) {
    const field = document.createElement("p");
    const label = document.createElement("label");
    const input = document.createElement("input");
    field.className = "mediagen-field";
    field.dataset.name = label.textContent = name;
    input.name = input.id = label.htmlFor = `var-${name}`;
    input.maxLength = 500;
    field.append(label, input);
    box.append(field);
  }
}

// What was written and not sent survives a reload of this tab.
const DRAFT = "mediagen-draft";

function draft() {
  try {
    sessionStorage.setItem(DRAFT, form.elements.prompt.value);
  } catch {
    // A browser that keeps nothing.
  }
}

function restore() {
  try {
    const kept = sessionStorage.getItem(DRAFT);
    if (kept && !form.elements.prompt.value) form.elements.prompt.value = kept;
  } catch {
    // The same.
  }
}

// One of the prompts that this person has used: back into the box.
function reuse(event) {
  const button = event.target.closest("[data-prompt]");
  if (!button || event.ctrlKey || event.metaKey) return;
  event.preventDefault();
  form.elements.prompt.value = button.dataset.prompt;
  variables();
  (form.querySelector(".mediagen-variables input") ?? form.elements.prompt).focus();
  draft();
  price();
}

export function start() {
  if (!form) return;
  restore();
  variables();
  form.addEventListener("input", draft);
  form.addEventListener("click", reuse);
  form.addEventListener("submit", generate);
  // Open from the first touch on: what is below must not jump away under a click.
  form.addEventListener("focusin", () => form.classList.add("mediagen-open"));
  form.elements.prompt.addEventListener("input", variables);
  form.addEventListener("input", price);
  form.addEventListener("change", () => {
    fit();
    price();
  });
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit(form.querySelector("[data-generate]"));
  });
  fit();
  price();
}
