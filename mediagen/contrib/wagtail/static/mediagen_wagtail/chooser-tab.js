// The tab "Generate" in Wagtail's chooser of images. Its link is Wagtail's own, put beside the others; what is in it is
// mediagen's chooser. A picture that was picked becomes an image, and Wagtail's dialog goes on with that.
function join(panel) {
  const tabs = panel.closest(".w-tabs")?.querySelector("[role=tablist]");
  const link = panel.querySelector("template[data-mediagen-tab]")?.content.firstElementChild;
  if (!tabs || !link) {
    panel.hidden = false; // below the others rather than nowhere
    show(panel);
    return;
  }
  tabs.append(link.cloneNode(true));
  panel.dataset.wTabsTarget = "panel"; // only now: Wagtail refuses a panel without its tab
  if (!panel.hidden) show(panel);
}

function show(panel) {
  const chooser = panel.querySelector("[data-mediagen-chooser]");
  if (chooser.querySelector("dialog[open]")) return;
  chooser.dispatchEvent(new CustomEvent("mediagen:show", { bubbles: true }));
}

new MutationObserver((changes) => {
  for (const change of changes) {
    if (change.type === "attributes") {
      if (change.target.matches("[data-mediagen-panel]") && !change.target.hidden) show(change.target);
      continue;
    }
    for (const node of change.addedNodes) {
      const panel = node.querySelector?.("[data-mediagen-panel]");
      if (panel) join(panel);
    }
  }
}).observe(document.body, { childList: true, subtree: true, attributes: true, attributeFilter: ["hidden"] });

document.addEventListener("mediagen:chosen", async (event) => {
  const panel = event.target.closest("[data-mediagen-panel]");
  if (!panel || panel.getAttribute("aria-busy") === "true") return;
  const line = panel.querySelector("[data-mediagen-problem]");
  line.textContent = "";
  panel.setAttribute("aria-busy", "true");
  try {
    const response = await fetch(panel.dataset.take, {
      method: "POST",
      credentials: "same-origin",
      headers: { Accept: "application/json", "X-CSRFToken": panel.dataset.token },
      body: new URLSearchParams({ pick: event.detail.pick }),
    });
    const answer = await response.json().catch(() => null);
    if (!answer?.url) throw new Error(answer?.problem || `${panel.dataset.offline} (${response.status})`);
    const link = panel.querySelector("a[data-chooser-modal-choice]");
    link.href = answer.url;
    link.click(); // which Wagtail listens to
  } catch (error) {
    line.textContent = error.message;
    line.scrollIntoView({ block: "nearest" });
  } finally {
    panel.removeAttribute("aria-busy");
  }
});
