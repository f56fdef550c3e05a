/* The form that asks for pictures: its estimate follows what is typed, and another provider shows its own options.
   Without script there are buttons for both. */
(() => {
  "use strict";

  const form = document.querySelector("form[data-mediagen-estimate]");
  if (!form) return;
  const shown = form.querySelector("[data-mediagen-estimate-text]");
  let asked = 0;
  let waiting = 0;

  async function estimate() {
    const mine = ++asked;
    try {
      const response = await fetch(form.dataset.mediagenEstimate, {
        method: "POST",
        credentials: "same-origin",
        body: new FormData(form),
      });
      if (!response.ok || response.redirected) return;
      const said = await response.json();
      if (mine === asked) shown.textContent = said.text || "-";
    } catch {
      // The button still asks.
    }
  }

  form.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(estimate, 400);
  });

  // What was typed before this script came.
  if (form.elements.prompt && form.elements.prompt.value) estimate();

  const own = [form.elements.width, form.elements.height].map((input) => input && input.closest(".mediagen-field"));
  const size = form.elements.size;
  function show() {
    for (const field of own) if (field) field.hidden = size.value !== "custom";
  }
  if (size) {
    size.addEventListener("change", show);
    show();
  }

  const provider = form.elements.provider;
  if (provider) provider.addEventListener("change", () => form.requestSubmit(form.elements._estimate));
})();
