/* Pages that change while one looks: what an element with data-mediagen-follow shows is asked for again until it is over.
   The address answers {"is_over": bool, "html": text of our own server}. Without script the page has a refresh link. */
(() => {
  "use strict";

  const FIRST_MS = 700;
  const LONGEST_MS = 5000;

  function follow(element) {
    let wait = FIRST_MS;
    let shown = "";

    async function ask() {
      try {
        const response = await fetch(element.dataset.mediagenFollow, {
          credentials: "same-origin",
          headers: { Accept: "application/json" },
        });
        if (response.status === 403 || response.status === 404 || response.redirected) return;
        if (response.ok) {
          const news = await response.json();
          if (news.html !== shown) {
            shown = news.html;
            element.innerHTML = news.html;
            wait = FIRST_MS;
          }
          if (news.is_over) {
            element.dataset.mediagenOver = "";
            return;
          }
        }
      } catch {
        // The server is away for a moment: ask again, less often.
      }
      wait = Math.min(wait * 1.3, LONGEST_MS);
      setTimeout(ask, document.hidden ? LONGEST_MS : wait);
    }

    setTimeout(ask, FIRST_MS);
  }

  for (const element of document.querySelectorAll("[data-mediagen-follow]:not([data-mediagen-over])")) follow(element);
})();
