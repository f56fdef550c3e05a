// Questions to the site. A problem is an Error whose message people may read.
import { words } from "./notes.js";

export class Problem extends Error {
  constructor(message, answer = {}) {
    super(message);
    this.answer = answer;
  }
}

async function fetched(address, options) {
  let response;
  try {
    response = await fetch(address, { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem(words.offline);
  }
  // A login page in place of an answer.
  if (response.redirected && !response.headers.get("Content-Type")?.includes("json")) throw new Problem(words.signedOut);
  return response;
}

export async function askJson(address, options = {}) {
  const response = await fetched(address, { ...options, headers: { Accept: "application/json" } });
  const answer = await response.json().catch(() => null);
  if (answer === null) throw new Problem(response.status === 404 ? words.lost : `${words.offline} (${response.status})`);
  if (!response.ok) throw new Problem(answer.problem || words.offline, answer);
  return answer;
}

export async function askHtml(address, options = {}) {
  const response = await fetched(address, options);
  if (!response.ok) throw new Problem(response.status === 404 ? words.lost : `${words.offline} (${response.status})`);
  return response.text();
}

// The form as it would be sent, with its CSRF token: no cookie has to be readable.
export function send(form, { extra = {}, signal, action = form.action } = {}) {
  const data = new FormData(form);
  for (const [name, value] of Object.entries(extra)) data.set(name, value);
  return askJson(action, { method: "POST", body: data, signal });
}

// An address that the page gives for no asset in particular, for this one.
export const forId = (address, id) => address.replace("00000000-0000-0000-0000-000000000000", id);

// What the site has rendered, as elements. Scripts in it would not run.
export function elements(html) {
  const template = document.createElement("template");
  template.innerHTML = html;
  return [...template.content.children];
}
