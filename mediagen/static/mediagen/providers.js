/* Providers by drag and by key, saved at once. Without this script the arrows are buttons of the form. */
"use strict";

document.addEventListener("DOMContentLoaded", () => {
  const places = () => [...document.querySelectorAll(".mediagen-place[data-address]")];
  if (!places().length) return;

  const status = document.getElementById("mediagen-said");
  const token = () => document.querySelector("#changelist-form [name=csrfmiddlewaretoken]").value;

  // Some themes give every row a body of its own: what moves is the outermost part that holds one place only.
  const rowOf = (place) => {
    const body = place.closest("tbody");
    return body && body.querySelectorAll(".mediagen-place").length === 1 ? body : place.closest("tr");
  };
  const order = () => places().map((place) => place.dataset.pk);

  function show(wanted) {
    const rows = new Map(places().map((place) => [place.dataset.pk, rowOf(place)]));
    const parent = rows.values().next().value.parentNode;
    for (const pk of wanted) if (rows.has(pk)) parent.append(rows.get(pk));
    const now = places();
    now.forEach((place, index) => {
      place.querySelector(".mediagen-number").textContent = String(index + 1);
      const [up, down] = place.querySelectorAll("button");
      up.disabled = index === 0;
      down.disabled = index === now.length - 1;
    });
  }

  function say(text, failed) {
    status.textContent = text;
    status.classList.toggle("mediagen-went-wrong", Boolean(failed));
  }

  async function send(place, fields, before) {
    try {
      const answer = await fetch(place.dataset.address, {
        method: "POST",
        headers: { Accept: "application/json", "X-CSRFToken": token() },
        body: new URLSearchParams(fields),
        credentials: "same-origin",
      });
      if (!answer.ok) throw new Error(String(answer.status));
      const told = await answer.json();
      show(told.order.map(String));
      say(told.message, false);
    } catch {
      show(before);
      say(status.dataset.failed, true);
    }
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest(".mediagen-place button[name=direction]");
    if (!button) return;
    event.preventDefault();
    const place = button.closest(".mediagen-place");
    await send(place, { direction: button.value }, order());
    // Moved in the page, a button loses the focus; at an end, its neighbour takes it.
    const other = [...place.querySelectorAll("button")].find((one) => !one.disabled);
    (button.disabled ? other : button)?.focus();
  });

  function drag(place) {
    const row = rowOf(place);
    const before = order();
    row.classList.add("mediagen-dragged");

    const move = (event) => {
      for (const other of places()) {
        const target = rowOf(other);
        if (target === row) continue;
        const box = target.getBoundingClientRect();
        if (event.clientY < box.top || event.clientY > box.bottom) continue;
        const upper = event.clientY < box.top + box.height / 2;
        const spot = upper ? target : target.nextSibling;
        if (spot !== row) target.parentNode.insertBefore(row, spot);
        return;
      }
    };
    const end = (event) => {
      document.removeEventListener("pointermove", move);
      document.removeEventListener("pointerup", end);
      document.removeEventListener("pointercancel", end);
      document.removeEventListener("keydown", escape);
      row.classList.remove("mediagen-dragged");
      const now = order();
      const index = now.indexOf(place.dataset.pk);
      if (event.type !== "pointerup" || index === before.indexOf(place.dataset.pk)) {
        show(before);
        return;
      }
      const fields = index ? { after: now[index - 1] } : { before: now[1] };
      send(place, fields, before);
    };
    const escape = (event) => {
      if (event.key === "Escape") end(event);
    };
    // On the document: the grip leaves it for a moment whenever its row is put elsewhere, and would lose a capture.
    document.addEventListener("pointermove", move);
    document.addEventListener("pointerup", end);
    document.addEventListener("pointercancel", end);
    document.addEventListener("keydown", escape);
  }

  for (const place of places()) {
    const grip = place.querySelector(".mediagen-grip");
    grip.hidden = false;
    grip.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      event.preventDefault();
      drag(place);
    });
  }
});
