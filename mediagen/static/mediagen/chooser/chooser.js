// A list in a form becomes a picture with a dialog behind it. One module for all of them, also for those that an admin
// adds later: it listens to the document. The list stays what the form sends.
const SHORTEST_MS = 1000;
const LONGEST_MS = 5000;
const PRICE_MS = 450;

document.documentElement.classList.add("mediagen-choosing");

const dialog = document.createElement("dialog");
let root = null; // the chooser that has the dialog
let timer = 0;
let wait = SHORTEST_MS;
let pricing = 0;

// ---------------------------------------------------------------- questions to the site

async function ask(address, options = {}) {
  let response;
  try {
    response = await fetch(address, { credentials: "same-origin", ...options, headers: { Accept: "application/json" } });
  } catch {
    throw new Error(words().offline);
  }
  const answer = await response.json().catch(() => null);
  if (answer === null) throw new Error(`${words().offline} (${response.status})`);
  if (!response.ok) throw new Error(answer.problem || `${words().offline} (${response.status})`);
  return answer;
}

function words() {
  return (root ?? document.querySelector("[data-mediagen-chooser]")).dataset;
}

function elements(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return [...template.content.children];
}

// ---------------------------------------------------------------- what is chosen

const listOf = (chooser) => chooser.querySelector("select");
const itemsOf = (chooser) => chooser.querySelector(".mediagen-chosen");
const isMany = (chooser) => "many" in chooser.dataset;
const isPicker = (chooser) => "mediagenPicker" in chooser.dataset;
const isInline = (chooser) => "mediagenInline" in chooser.dataset;

function choose(chooser, picked) {
  const list = listOf(chooser);
  if (!isMany(chooser)) itemsOf(chooser).replaceChildren();
  const item = chooser.querySelector("template[data-item]").content.firstElementChild.cloneNode(true);
  item.dataset.value = picked.pick;
  item.dataset.asset = picked.asset ?? "";
  const image = item.querySelector("[data-src]");
  image.src = picked.src;
  if (picked.width) [image.width, image.height] = [picked.width, picked.height];
  // For the crop of this use, see crop.js.
  Object.assign(image.dataset, { large: picked.url ?? picked.large ?? "", focalX: picked.focalX ?? "", focalY: picked.focalY ?? "" });
  item.querySelector("[data-name]").textContent = picked.name;
  const alt = item.querySelector("[data-alt]");
  alt.textContent = picked.alt || alt.dataset.without;
  item.querySelector("[data-alt-do=suggest]")?.toggleAttribute("hidden", Boolean(picked.alt));
  itemsOf(chooser).append(item);
  if (![...list.options].some((option) => option.value === picked.pick)) list.add(new Option(picked.name, picked.pick));
  sync(chooser);
}

// The list says what the items say, in their order.
function sync(chooser) {
  const list = listOf(chooser);
  const values = [...itemsOf(chooser).children].map((item) => item.dataset.value);
  for (const option of list.options) option.selected = values.includes(option.value);
  for (const value of values) {
    const option = [...list.options].find((each) => each.value === value);
    if (option && isMany(chooser)) list.append(option);
  }
  if (!isMany(chooser)) list.value = values[0] ?? "";
  list.dispatchEvent(new Event("change", { bubbles: true }));
}

function remove(item) {
  const chooser = item.closest("[data-mediagen-chooser]");
  const next = item.nextElementSibling ?? item.previousElementSibling;
  item.remove();
  sync(chooser);
  (next?.querySelector("[data-remove]") ?? chooser.querySelector("[data-choose]"))?.focus();
}

function move(button) {
  const item = button.closest("li");
  const forward = button.dataset.move === "1";
  const other = forward ? item.nextElementSibling : item.previousElementSibling;
  if (!other) return;
  if (forward) other.after(item);
  else other.before(item);
  sync(item.closest("[data-mediagen-chooser]"));
  button.focus();
}

// The label of the field names the whole, and leads to its button: the list that it is for is hidden.
function name(chooser) {
  const list = listOf(chooser);
  const label = list?.id && document.querySelector(`label[for="${CSS.escape(list.id)}"]`);
  if (!label) return;
  label.id ||= `${list.id}_label`;
  chooser.setAttribute("role", "group");
  chooser.setAttribute("aria-labelledby", label.id);
}

document.querySelectorAll("[data-mediagen-chooser]").forEach(name);
// A site's own script that has added a chooser, or puts a picture into it (null: takes it out).
document.addEventListener("mediagen:added", (event) => name(event.target));
document.addEventListener("mediagen:set", (event) => {
  if (event.detail) choose(event.target, event.detail);
  else {
    itemsOf(event.target).replaceChildren();
    sync(event.target);
  }
});
// Django's admin, when it has added a row.
document.addEventListener("formset:added", (event) => {
  event.target.querySelectorAll?.("[data-mediagen-chooser]").forEach(name);
});

document.addEventListener("click", (event) => {
  const list = event.target.closest?.("label")?.control;
  const named = list?.matches("select") && list.closest("[data-mediagen-chooser]");
  if (named) named.querySelector("[data-choose]")?.focus();
  const button = event.target.closest?.("button");
  const chooser = button?.closest("[data-mediagen-chooser]");
  if (!chooser) return;
  if ("choose" in button.dataset) open(chooser);
  else if ("remove" in button.dataset) remove(button.closest("li"));
  else if ("move" in button.dataset) move(button);
  else if ("altDo" in button.dataset) altText(button);
});

// What a model suggests as alt text of a chosen picture, in the language of the page.
async function altText(button) {
  const item = button.closest("li");
  const line = item.querySelector("[data-alt]");
  const address = button.closest("[data-alt-of]").dataset.altOf;
  const data = new FormData();
  data.set("csrfmiddlewaretoken", item.closest("form")?.elements.csrfmiddlewaretoken?.value ?? "");
  data.set("do", button.dataset.altDo);
  data.set("language", document.documentElement.lang);
  button.disabled = true;
  try {
    const told = await ask(address.replace("00000000-0000-0000-0000-000000000000", item.dataset.asset), { method: "POST", body: data });
    const said = item.querySelector("[data-alt-said]");
    const suggest = item.querySelector("[data-alt-do=suggest]");
    line.textContent = told.alt_text || line.dataset.without;
    item.querySelector("[data-alt-text]").textContent = told.suggestion;
    said.hidden = !told.suggestion;
    suggest.hidden = Boolean(told.alt_text);
    button.disabled = false;
    (said.hidden ? (suggest.hidden ? item.querySelector("[data-remove]") : suggest) : said.querySelector("button")).focus();
  } catch (error) {
    line.textContent = error.message;
    button.disabled = false;
    button.focus();
  }
}

// ---------------------------------------------------------------- the dialog

dialog.className = "mediagen-chooser-dialog";
dialog.setAttribute("aria-labelledby", "mediagen-chooser-title");
dialog.innerHTML =
  '<div class="mediagen-chooser-bar"><h2 id="mediagen-chooser-title"></h2><button type="button" data-done hidden></button>' +
  '<button type="button" data-close><span aria-hidden="true">\u00d7</span></button></div><div class="mediagen-chooser-body"></div>';
const body = dialog.querySelector(".mediagen-chooser-body");

async function open(chooser) {
  root = chooser;
  place(chooser);
  dialog.querySelector("h2").textContent = words().title;
  dialog.querySelector("[data-close]").setAttribute("aria-label", words().close);
  const done = dialog.querySelector("[data-done]");
  done.hidden = !isMany(chooser);
  done.textContent = words().done;
  body.textContent = words().loading;
  if (isInline(chooser)) dialog.show();
  else dialog.showModal();
  try {
    const answer = await ask(chooser.dataset.mediagenChooser);
    if (root !== chooser) return;
    body.replaceChildren(...elements(answer.html));
    mark();
    // As a part of the page it is there to make one; a dialog is opened to find one.
    const making = isInline(chooser) && body.querySelector("details:has([data-generate])");
    if (making) making.open = true;
    (making ? making.querySelector("textarea") : body.querySelector("[data-first]"))?.focus();
  } catch (error) {
    body.replaceChildren();
    const line = document.createElement("p");
    line.className = "mediagen-chooser-problem";
    line.setAttribute("role", "alert");
    line.textContent = error.message;
    body.append(line);
  }
}

// Over the page; within another dialog that keeps the focus for itself; or as a part of the page.
function place(chooser) {
  const home = isInline(chooser) ? chooser : (chooser.closest("dialog, [aria-modal=true], .modal") ?? document.body);
  // It may lie open in a part of the page that somebody has taken away.
  dialog.removeAttribute("open");
  if (dialog.parentNode !== home) home.append(dialog);
  dialog.classList.toggle("mediagen-chooser-inline", isInline(chooser));
}

document.addEventListener("mediagen:show", (event) => open(event.target));

dialog.addEventListener("close", () => {
  clearTimeout(timer);
  clearTimeout(pricing);
  const chooser = root;
  root = null;
  body.replaceChildren();
  chooser?.querySelector("[data-choose]")?.focus();
});

const grid = () => body.querySelector("[data-grid]");

function problem(text) {
  const line = body.querySelector("[data-problem]");
  if (line) line.textContent = text;
}

function say(text) {
  const line = body.querySelector("[data-heard]");
  if (line) line.textContent = text;
}

// Which pictures are chosen already, in a dialog for several.
function mark() {
  if (!root || !isMany(root)) return;
  const chosen = new Set([...itemsOf(root).children].map((item) => item.dataset.asset || item.dataset.value));
  for (const choice of body.querySelectorAll("[data-pick]")) {
    choice.setAttribute("aria-pressed", String(chosen.has(choice.closest("li").dataset.asset)));
  }
}

// For an editor of rich text: document.dispatchEvent(new CustomEvent("mediagen:choose", { detail: { chosen } })), and
// `chosen` is called with { url, alt, name, width, height, asset, pick }.
let chosen = null;
document.addEventListener("mediagen:choose", (event) => {
  const picker = document.querySelector("[data-mediagen-picker]");
  if (!picker) return;
  chosen = event.detail.chosen;
  open(picker);
});

function take(choice) {
  const picked = { ...choice.dataset, asset: choice.closest("li").dataset.asset };
  if (isInline(root)) {
    root.dispatchEvent(new CustomEvent("mediagen:chosen", { bubbles: true, detail: picked }));
    return;
  }
  if (isPicker(root)) {
    const tell = chosen;
    dialog.close();
    tell?.(picked);
    return;
  }
  if (!isMany(root)) {
    choose(root, picked);
    dialog.close();
    return;
  }
  const there = [...itemsOf(root).children].find((item) => item.dataset.asset === picked.asset);
  if (there) {
    there.remove();
    sync(root);
    say(`${words().removed} ${picked.name}`);
  } else {
    choose(root, picked);
    say(`${words().chosen} ${picked.name}`);
  }
  mark();
}

dialog.addEventListener("click", (event) => {
  // On the backdrop.
  if (event.target === dialog && !isInline(root)) {
    dialog.close();
    return;
  }
  const button = event.target.closest("button");
  if (!button) return;
  if ("close" in button.dataset || "done" in button.dataset) dialog.close();
  else if ("pick" in button.dataset) take(button);
  else if ("older" in button.dataset) older(button);
});

async function older(button) {
  button.disabled = true;
  try {
    const answer = await ask(`${button.dataset.older}&part=grid`);
    const fresh = elements(answer.html);
    grid().append(...fresh);
    showOlder(answer.older);
    mark();
    fresh[0]?.querySelector("button")?.focus();
  } catch (error) {
    problem(error.message);
  } finally {
    button.disabled = false;
  }
}

function showOlder(address) {
  const button = body.querySelector("[data-older]");
  button.dataset.older = address;
  button.hidden = !address;
}

dialog.addEventListener("submit", async (event) => {
  const form = event.target;
  event.preventDefault();
  event.stopPropagation();
  if (form.getAttribute("aria-busy") === "true") return;
  problem("");
  form.setAttribute("aria-busy", "true");
  try {
    if ("search" in form.dataset) await search(form);
    else if ("upload" in form.dataset) await upload(form, new FormData(form));
    else if ("generate" in form.dataset) await generate(form);
  } catch (error) {
    problem(error.message);
  } finally {
    form.removeAttribute("aria-busy");
  }
});

async function search(form) {
  const address = new URL(root.dataset.mediagenChooser, location.href);
  for (const [name, value] of new FormData(form)) address.searchParams.set(name, value);
  address.searchParams.set("part", "grid");
  const answer = await ask(address);
  grid().innerHTML = answer.html;
  body.querySelector("[data-empty]").innerHTML = answer.empty;
  showOlder(answer.older);
  mark();
  say(String(grid().children.length));
}

async function upload(form, data) {
  say(words().uploading);
  const answer = await ask(form.action, { method: "POST", body: data });
  const [tile] = elements(answer.html);
  grid().prepend(tile);
  body.querySelector("[data-empty]").replaceChildren();
  form.reset();
  say("");
  (tile.querySelector("[data-pick]") ?? tile).focus?.();
  tile.scrollIntoView({ block: "nearest" });
}

async function generate(form) {
  const answer = await ask(form.action, { method: "POST", body: new FormData(form) });
  form.elements.token.value = answer.token;
  const fresh = elements(answer.html);
  grid().prepend(...fresh);
  body.querySelector("[data-empty]").replaceChildren();
  fresh[0]?.scrollIntoView({ block: "nearest" });
  wait = SHORTEST_MS;
  plan();
}

// ---------------------------------------------------------------- what is being made

function plan() {
  clearTimeout(timer);
  if (dialog.open && grid()?.querySelector("[data-unsettled]")) timer = setTimeout(look, wait);
}

async function look() {
  const waiting = [...grid().querySelectorAll("[data-unsettled]")].map((tile) => tile.dataset.asset);
  const address = new URL(body.querySelector("[data-tiles]").dataset.tiles, location.href);
  for (const id of waiting.slice(0, 100)) address.searchParams.append("id", id);
  try {
    const answer = await ask(address);
    for (const [id, now] of Object.entries(answer.tiles)) {
      const there = grid()?.querySelector(`[data-asset="${id}"]`);
      if (!there) continue;
      const [tile] = elements(now.html);
      there.replaceWith(tile);
      if (now.settled) say(`${now.is_ready ? words().ready : words().failed} ${now.name}`);
    }
    wait = Math.min(wait * 1.25, LONGEST_MS);
  } catch {
    wait = LONGEST_MS;
  }
  plan();
}

dialog.addEventListener("input", (event) => {
  const form = event.target.closest("[data-generate]");
  if (!form) return;
  clearTimeout(pricing);
  pricing = setTimeout(() => price(form), PRICE_MS);
});

async function price(form) {
  const line = form.querySelector("[data-price]");
  if (!form.elements.prompt.value.trim()) {
    line.textContent = "";
    return;
  }
  const data = new FormData(form);
  data.set("estimate", "1");
  try {
    const answer = await ask(form.action, { method: "POST", body: data });
    line.textContent = answer.text;
    line.classList.toggle("mediagen-chooser-too-much", answer.is_too_much);
  } catch (error) {
    line.textContent = error.message;
  }
}

// ---------------------------------------------------------------- dropped and pasted

async function takeFile(file) {
  const form = body.querySelector("[data-upload]");
  if (!form || !file) return;
  const data = new FormData(form);
  data.set("file", file);
  problem("");
  try {
    await upload(form, data);
  } catch (error) {
    say("");
    problem(error.message);
  }
}

dialog.addEventListener("dragover", (event) => {
  if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
});

dialog.addEventListener("drop", async (event) => {
  if (!event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  for (const file of event.dataTransfer.files) await takeFile(file);
});

dialog.addEventListener("paste", (event) => {
  const file = [...(event.clipboardData?.files ?? [])].find((each) => each.type.startsWith("image/"));
  if (!file) return;
  event.preventDefault();
  takeFile(file);
});
