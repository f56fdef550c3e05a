// The page: a prompt, what happens, the gallery. `index.html` has the elements and loads this.
import { connect, Refused, type Asset } from "./mediagen.js";

const at = <T extends HTMLElement>(id: string) => document.getElementById(id) as T;
const { site = "", token = "" } = document.body.dataset;
const mediagen = connect(site, token);

function tile(asset: Asset): HTMLElement {
  const figure = document.createElement("figure");
  const image = Object.assign(new Image(asset.width, asset.height), { src: asset.thumbnail_url ?? "", alt: asset.alt_text });
  image.style.background = asset.color;
  const button = Object.assign(document.createElement("button"), { textContent: "Approve", hidden: !asset.may.approve });
  button.disabled = asset.review !== "draft";
  button.onclick = async () => figure.replaceWith(tile(await mediagen.approve(asset)));
  figure.append(image, button);
  return figure;
}

async function show() {
  at("gallery").replaceChildren(...(await mediagen.gallery()).map(tile));
}

at<HTMLFormElement>("ask").onsubmit = async (event) => {
  event.preventDefault();
  try {
    const generation = await mediagen.ask(at<HTMLInputElement>("prompt").value, crypto.randomUUID());
    for await (const told of mediagen.watch(generation)) {
      if (told.name === "attempt") at("said").textContent = `${told.data.provider}: ${told.data.outcome || "is being asked"}`;
      if (told.name === "asset" && told.data.failure) at("said").textContent = told.data.failure.message;
    }
    await show();
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    at("said").textContent = error.problem.field ? `${error.problem.field}: ${error.message}` : error.message;
  }
};

await show();
