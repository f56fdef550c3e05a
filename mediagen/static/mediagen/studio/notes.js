// Short notes at the lower edge, which screen readers read out.
const place = document.getElementById("mediagen-notes");
const page = place.parentElement;

// What the page says, in its language.
export const words = place.dataset;

const STAYS_MS = 7000;

export function note(text, { problem = false, button = null, onButton = null, stays = problem } = {}) {
  const box = document.createElement("div");
  box.className = problem ? "mediagen-note mediagen-is-problem" : "mediagen-note";
  const said = document.createElement("span");
  said.textContent = text;
  box.append(said);
  if (button) {
    const press = document.createElement("button");
    press.type = "button";
    press.textContent = button;
    press.addEventListener("click", () => {
      box.remove();
      onButton();
    });
    box.append(press);
  }
  if (stays) {
    const away = document.createElement("button");
    away.type = "button";
    away.textContent = words.dismiss;
    away.addEventListener("click", () => box.remove());
    box.append(away);
  }
  // A modal dialog makes everything outside it inert.
  const dialog = document.querySelector("dialog[open]");
  (dialog ?? page).append(place);
  while (place.children.length > 2) place.firstElementChild.remove();
  place.append(box);
  if (!stays) setTimeout(() => box.remove(), button ? 2 * STAYS_MS : STAYS_MS);
  return box;
}

// Out of a dialog that was closed.
export function home() {
  page.append(place);
}

// Heard and not seen.
export function say(text) {
  const heard = document.createElement("span");
  heard.className = "mediagen-hidden";
  heard.textContent = text;
  place.append(heard);
  setTimeout(() => heard.remove(), STAYS_MS);
}
