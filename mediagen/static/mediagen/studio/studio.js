// The studio made live. Everything here is done without it too, a page at a time.
import * as actions from "./actions.js";
import * as altTexts from "./alt_texts.js";
import * as board from "./board.js";
import * as composer from "./composer.js";
import * as editor from "./editor.js";
import * as gallery from "./gallery.js";
import * as lightbox from "./lightbox.js";
import * as live from "./live.js";
import * as progress from "./progress.js";
import * as seen from "./seen.js";
import * as selecting from "./selecting.js";
import * as upload from "./upload.js";

document.documentElement.classList.add("mediagen-live");
actions.start();
altTexts.start();
editor.start();
seen.start();
for (const over of document.querySelectorAll("[data-over]")) {
  const range = over.querySelector("input");
  const lay = () => over.style.setProperty("--mg-over", `${range.value}%`);
  range.addEventListener("input", lay);
  lay();
}
if (document.querySelector("[data-page=studio]")) {
  board.start();
  composer.start();
  gallery.start();
  lightbox.start();
  selecting.start();
  upload.start();
}
progress.start();
live.start();
