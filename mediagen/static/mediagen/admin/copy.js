/* Buttons that copy the text of another element. Without script they stay hidden, and the text can be selected. */
(() => {
  "use strict";

  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll("[data-mediagen-copy]")) {
    const source = document.getElementById(button.dataset.mediagenCopy);
    if (!source) continue;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const before = button.textContent;
      await navigator.clipboard.writeText(source.textContent);
      button.textContent = button.dataset.mediagenCopied;
      setTimeout(() => {
        button.textContent = before;
      }, 2000);
    });
  }
})();
