/*
 * mediagen in Figma, the half that may touch the document. It runs in Figma's sandbox: no window, no DOM, and with
 * "documentAccess": "dynamic-page" pages are loaded before they are looked into. All requests to the site are made here,
 * so that the token stays in figma.clientStorage and never reaches the page in ui.html.
 *
 * No build step, and no syntax newer than ES2017: Figma's sandbox has refused newer syntax in the past.
 */

const SITE = "__MEDIAGEN_SITE__"; // https://media.example
const API = "__MEDIAGEN_API__"; // https://media.example/api/v1/
const SPACE = "mediagen"; // of shared plugin data
const TRIES = 4;
const FIRST_WAIT_MS = 400;
const GAP = 100; // canvas pixels between what is there and what is placed beside it

// ------------------------------------------------------------------ talking to the page

figma.showUI(__html__, { width: 380, height: 580, title: "mediagen", themeColors: true });

figma.ui.onmessage = async function (message) {
  if (!message || typeof message.id !== "number") return;
  const action = Object.prototype.hasOwnProperty.call(ACTIONS, message.action) ? ACTIONS[message.action] : null;
  if (!action) return reply(message.id, null, { code: "unknown", detail: "The plugin does not know " + message.action });
  try {
    reply(message.id, await action(message.arguments || {}), null);
  } catch (error) {
    reply(message.id, null, told(error));
  }
};

function reply(id, result, error) {
  figma.ui.postMessage({ id: id, result: result, error: error });
}

function told(error) {
  if (error instanceof Refused) return { code: error.code, detail: error.message, status: error.status };
  return { code: "error", detail: text(error) };
}

function text(error) {
  return String((error && error.message) || error);
}

/** What the site, or this plugin itself, refused. `status` 0: the site was not reached. */
function Refused(code, detail, status, body) {
  this.code = code;
  this.message = detail;
  this.status = status || 0;
  this.body = body || {};
}
Refused.prototype = Object.create(Error.prototype);

// ------------------------------------------------------------------ what is kept on this machine

function kept(name) {
  return figma.clientStorage.getAsync(SPACE + ":" + SITE + ":" + name);
}

function keep(name, value) {
  const key = SPACE + ":" + SITE + ":" + name;
  return value === null ? figma.clientStorage.deleteAsync(key) : figma.clientStorage.setAsync(key, value);
}

/** Names this installation to the site: a claim that was cut off is given to the same one again. */
async function worker() {
  let name = await kept("worker");
  if (!name) {
    name = "figma-" + Date.now().toString(36) + "-" + randomWord() + randomWord();
    await keep("worker", name);
  }
  return name;
}

function randomWord() {
  return Math.random().toString(36).slice(2, 10);
}

// ------------------------------------------------------------------ the site

async function ask(method, path, options) {
  const asked = options || {};
  const token = asked.token || (await kept("token"));
  if (!token) throw new Refused("not-signed-in", "Sign in with a token first.", 401);
  const headers = { Authorization: "Bearer " + token };
  if (asked.body !== undefined) headers["Content-Type"] = "application/json";
  if (asked.bytes) headers["Content-Type"] = "image/png";
  if (asked.key) headers["Idempotency-Key"] = asked.key;
  const init = { method: method, headers: headers };
  if (asked.body !== undefined) init.body = JSON.stringify(asked.body);
  if (asked.bytes) init.body = asked.bytes;
  return understood(await patiently(API + path + query(asked.query), init), asked.binary);
}

function query(values) {
  const parts = [];
  for (const name of Object.keys(values || {})) {
    if (values[name]) parts.push(encodeURIComponent(name) + "=" + encodeURIComponent(values[name]));
  }
  return parts.length ? "?" + parts.join("&") : "";
}

/** The answer, after a few tries when there was none or the site was busy. Every request here may be repeated. */
async function patiently(address, init) {
  let wait = FIRST_WAIT_MS;
  for (let left = TRIES - 1; ; left -= 1) {
    let response = null;
    try {
      response = await fetch(address, init);
    } catch (error) {
      if (left <= 0) throw new Refused("unreachable", "The site " + SITE + " was not reached: " + text(error), 0);
    }
    if (response && (left <= 0 || [429, 502, 503, 504].indexOf(response.status) < 0)) return response;
    await new Promise(function (go) {
      setTimeout(go, wait);
    });
    wait *= 2;
  }
}

async function understood(response, binary) {
  if (response.ok) {
    if (binary) return new Uint8Array(await response.arrayBuffer());
    try {
      return await response.json();
    } catch (error) {
      throw new Refused("no-answer", "The site answered with something that is no answer of mediagen.", response.status);
    }
  }
  let body = {};
  try {
    body = await response.json();
  } catch (error) {
    // A gateway's page: the status says what there is to say.
  }
  const code = String(body.type || "").replace("urn:mediagen:problem:", "") || "status-" + response.status;
  if (response.status === 401) await keep("token", null); // revoked or expired: it will not come back
  throw new Refused(code, body.detail || "The site answered " + response.status + ".", response.status, body);
}

// ------------------------------------------------------------------ the file

/*
 * figma.fileKey is not there for ordinary plugins: a person says once which file this is. It is kept in the document, for
 * everybody who works in it, with the document's name, because a copy of the file takes the data along.
 */
function fileOf() {
  const key = figma.root.getSharedPluginData(SPACE, "file_key");
  if (!key) return null;
  const name = figma.root.getSharedPluginData(SPACE, "file_name");
  return { key: key, name: name, is_sure: name === figma.root.name };
}

function fileKey() {
  const file = fileOf();
  if (!file) throw new Refused("no-file", "Say first which file this is.", 0);
  if (!file.is_sure) throw new Refused("unsure-file", "Say first whether this still is the file " + file.name + ".", 0);
  return file.key;
}

async function state() {
  return {
    site: SITE,
    signed_in: Boolean(await kept("token")),
    user: (await kept("user")) || "",
    file: fileOf(),
    document: figma.root.name,
    selection: selected(),
    unreported: (await outbox()).length,
  };
}

// ------------------------------------------------------------------ placing

/** The page for an export, loaded. The one that it names, else the one that is open. */
async function pageFor(job, here) {
  if (!job.page_id || here) {
    await figma.currentPage.loadAsync();
    return figma.currentPage;
  }
  const page = await pageById(job.page_id);
  if (!page) throw new Refused("page_missing", "The page " + job.page_id + " is not in the file any more.", 0);
  return page;
}

async function pageById(id) {
  const page = await figma.getNodeByIdAsync(id);
  if (!page || page.type !== "PAGE") return null;
  await page.loadAsync();
  return page;
}

function ours(page, name, value) {
  const found = page.findAllWithCriteria({ sharedPluginData: { namespace: SPACE, keys: [name] } });
  return found.filter(function (node) {
    return node.getSharedPluginData(SPACE, name) === value && node.getSharedPluginData(SPACE, "site") === SITE && !node.removed;
  });
}

/** The layer that already shows it: placed for this very export before something was cut off, or for this asset. */
async function already(job, page) {
  const pages = [page];
  for (const id of job.pages) {
    const other = id === page.id ? null : await pageById(id);
    if (other) pages.push(other);
  }
  for (const one of pages) {
    const adopted = ours(one, "export", job.id)[0];
    if (adopted) return { node: adopted, page: one };
  }
  const same = job.inserted ? null : ours(page, "asset", job.asset.id)[0];
  return same ? { node: same, page: page } : null;
}

function fillWith(image) {
  return [{ type: "IMAGE", imageHash: image.hash, scaleMode: "FILL" }];
}

/** Where there is room: in the middle of the view on the open page, else to the right of all that is there. */
function roomFor(job, page) {
  if (job.x !== null && job.y !== null) return { x: job.x, y: job.y };
  let spot = { x: 0, y: 0 };
  if (page.id === figma.currentPage.id) {
    const center = figma.viewport.center;
    spot = { x: Math.round(center.x - job.asset.width / 2), y: Math.round(center.y - job.asset.height / 2) };
  } else if (page.children.length) {
    const right = page.children.map(function (node) {
      return node.x + node.width;
    });
    spot = { x: Math.max.apply(null, right) + GAP, y: page.children[0].y };
  }
  return { x: job.x === null ? spot.x : job.x, y: job.y === null ? spot.y : job.y };
}

/*
 * One layer for one export. From createImage to the last line nothing is awaited, so that a plugin which is closed leaves
 * either no layer, or one that says what it is and is found again.
 */
async function layer(job, page, bytes) {
  const found = await already(job, page);
  let image;
  try {
    image = figma.createImage(bytes);
  } catch (error) {
    throw isForViewers(error) ? error : new Refused("picture_refused", text(error), 0);
  }
  let node = found ? found.node : null;
  const isNew = !node;
  if (!node) {
    const spot = roomFor(job, page);
    node = figma.createFrame();
    node.name = job.frame_name || job.asset.name || "Picture";
    node.resize(job.asset.width, job.asset.height);
    node.x = spot.x;
    node.y = spot.y;
    if (node.parent !== page) page.appendChild(node);
  } else if (job.x !== null && job.y !== null) {
    node.x = job.x;
    node.y = job.y;
  }
  node.fills = fillWith(image);
  node.setSharedPluginData(SPACE, "site", SITE);
  node.setSharedPluginData(SPACE, "asset", job.asset.id);
  node.setSharedPluginData(SPACE, "export", job.id);
  node.setRelaunchData({ open: "Open the media library" });
  figma.commitUndo();
  return { node: node, page: found ? found.page : page, is_new: isNew };
}

/** Place an export that is held, and say so. */
async function placeHeld(job, here) {
  try {
    const page = await pageFor(job, here);
    const bytes = await ask("GET", "figma/assets/" + job.asset.id + "/picture/", { binary: true });
    const made = await layer(job, page, bytes);
    return await report({
      export: job.id,
      token: job.token,
      node_id: made.node.id,
      page_id: made.page.id,
      is_new: made.is_new,
    });
  } catch (error) {
    await sayWhyNot(job, error);
    throw error;
  }
}

/** Tell the site why it was not placed. What may pass (no network, no picture just now) only lets it go. */
async function sayWhyNot(job, error) {
  const code = error instanceof Refused ? error.code : "error";
  const path = "figma/exports/" + job.id + "/";
  try {
    if (code === "page_missing" || code === "picture_refused") {
      await ask("POST", path + "not-placed/", { body: { token: job.token, reason: code, message: text(error) } });
    } else if (!(error instanceof Refused)) {
      const reason = isForViewers(error) ? "not_allowed" : "error";
      await ask("POST", path + "not-placed/", { body: { token: job.token, reason: reason, message: text(error) } });
    } else if (error.status !== 409) {
      await ask("POST", path + "give-back/", { body: { token: job.token } });
    }
  } catch (again) {
    // The site is not there: its claim ends by itself.
  }
}

/** Whether Figma refused because the person may only look at the file. */
function isForViewers(error) {
  return /read-only|view-only|permission|edit access/i.test(text(error));
}

// ------------------------------------------------------------------ reporting

/*
 * What was placed is written down before it is reported, and crossed out after: a plugin that is closed in between, or has
 * lost its network, reports when it is opened again. The site takes the same report any number of times.
 */
async function outbox() {
  return (await kept("outbox")) || [];
}

async function report(placed) {
  const entry = Object.assign({ document: figma.root.name }, placed);
  await keep("outbox", without(await outbox(), entry).concat([entry]));
  return deliver(entry);
}

function without(entries, entry) {
  return entries.filter(function (one) {
    return one.export !== entry.export || one.node_id !== entry.node_id;
  });
}

async function deliver(entry) {
  let answer = null;
  try {
    answer = await ask("POST", "figma/exports/" + entry.export + "/placed/", {
      body: { token: entry.token, node_id: entry.node_id, page_id: entry.page_id },
    });
  } catch (error) {
    if (!(error instanceof Refused) || error.status === 0 || error.status === 401 || error.status >= 429) {
      // Not heard: it stands in the outbox, and the layer in the file.
      return { export: entry.export, node_id: entry.node_id, reported: false, detail: text(error) };
    }
    await crossOut(entry);
    const known = error.status === 409 && error.body.export ? error.body.export.node_id : "";
    if (known && known !== entry.node_id && entry.is_new) {
      await takeAway(entry); // somebody else was first: one layer is enough
      return { export: entry.export, node_id: known, reported: true, detail: text(error) };
    }
    throw error;
  }
  await crossOut(entry);
  return { export: entry.export, node_id: answer.node_id, reported: true, detail: "", asset: answer.asset };
}

async function crossOut(entry) {
  await keep("outbox", without(await outbox(), entry));
}

/** Remove the layer that this plugin made for an export that stands elsewhere already. */
async function takeAway(entry) {
  const node = await figma.getNodeByIdAsync(entry.node_id);
  if (node && !node.removed && node.getSharedPluginData(SPACE, "export") === entry.export) node.remove();
}

/** Report what could not be reported before. Layers of another document are only told of, never touched. */
async function deliverAll() {
  const results = [];
  for (const entry of await outbox()) {
    try {
      results.push(await deliver(entry.document === figma.root.name ? entry : Object.assign({}, entry, { is_new: false })));
    } catch (error) {
      results.push({ export: entry.export, node_id: entry.node_id, reported: false, detail: text(error) });
    }
  }
  return results;
}

// ------------------------------------------------------------------ the selection

function selected() {
  const nodes = figma.currentPage.selection;
  if (nodes.length !== 1) return { count: nodes.length };
  return { count: 1, id: nodes[0].id, name: nodes[0].name, asset: assetOf(nodes[0]) };
}

/** The asset that a layer shows: its own, that of what it lies in, or the only one inside it. */
function assetOf(node) {
  for (let one = node; one && one.type !== "PAGE"; one = one.parent) {
    const id = own(one);
    if (id) return id;
  }
  if (typeof node.findAllWithCriteria !== "function") return "";
  const inside = node.findAllWithCriteria({ sharedPluginData: { namespace: SPACE, keys: ["asset"] } }).map(own).filter(Boolean);
  return inside.every(function (id) {
    return id === inside[0];
  })
    ? inside[0] || ""
    : "";
}

function own(node) {
  return node.getSharedPluginData(SPACE, "site") === SITE ? node.getSharedPluginData(SPACE, "asset") : "";
}

figma.on("selectionchange", function () {
  figma.ui.postMessage({ event: "selection", selection: selected() });
});
figma.on("currentpagechange", function () {
  figma.ui.postMessage({ event: "selection", selection: selected() });
});

// ------------------------------------------------------------------ what the page may ask for

const ACTIONS = {
  start: async function () {
    if (await kept("token")) await deliverAll();
    return state();
  },

  "sign-in": async function (asked) {
    const token = String(asked.token || "").trim();
    const session = await ask("GET", "figma/session/", { token: token });
    await keep("token", token);
    await keep("user", session.user);
    await deliverAll();
    return state();
  },

  "sign-out": async function () {
    await keep("token", null);
    await keep("user", null);
    return state();
  },

  session: function () {
    return ask("GET", "figma/session/");
  },

  files: function () {
    return ask("GET", "figma/files/");
  },

  "choose-file": async function (asked) {
    const answer = await ask("GET", "figma/exports/", { query: { file: asked.file || " " } });
    figma.root.setSharedPluginData(SPACE, "file_key", answer.file_key);
    figma.root.setSharedPluginData(SPACE, "file_name", figma.root.name);
    return state();
  },

  "forget-file": async function () {
    figma.root.setSharedPluginData(SPACE, "file_key", "");
    figma.root.setSharedPluginData(SPACE, "file_name", "");
    return state();
  },

  exports: function () {
    return ask("GET", "figma/exports/", { query: { file: fileKey() } });
  },

  place: async function (asked) {
    fileKey();
    const here = Boolean(asked.here);
    const target = asked.page_id && !here ? asked.page_id : figma.currentPage.id;
    const job = await ask("POST", "figma/exports/" + asked.export + "/claim/", {
      body: { worker: await worker(), page_id: target, again: Boolean(asked.again) },
    });
    return placeHeld(job, here);
  },

  insert: async function (asked) {
    const page = figma.currentPage;
    const job = await ask("POST", "figma/exports/", {
      body: { asset: asked.asset, file: fileKey(), worker: await worker(), page_id: page.id },
    });
    return placeHeld(job, false);
  },

  search: function (asked) {
    return ask("GET", "figma/assets/", {
      query: { q: asked.q, library: asked.library, cursor: asked.cursor, page_size: "24" },
    });
  },

  picture: function (asked) {
    return ask("GET", "figma/assets/" + asked.asset + "/picture/", { binary: true, query: { thumbnail: "1" } });
  },

  show: async function (asked) {
    const node = await figma.getNodeByIdAsync(asked.node_id);
    if (!node || node.removed) throw new Refused("gone", "The layer is not in the file any more.", 0);
    let page = node;
    while (page && page.type !== "PAGE") page = page.parent;
    if (page && page.id !== figma.currentPage.id) await figma.setCurrentPageAsync(page);
    figma.currentPage.selection = [node];
    figma.viewport.scrollAndZoomIntoView([node]);
    return state();
  },

  send: async function (asked) {
    const nodes = figma.currentPage.selection;
    if (nodes.length !== 1) throw new Refused("selection", "Select the one layer that is to be sent.", 0);
    const node = nodes[0];
    const scale = Math.min(Math.max(Number(asked.scale) || 1, 0.1), 4);
    const bytes = await node.exportAsync({ format: "PNG", constraint: { type: "SCALE", value: scale } });
    const file = fileOf();
    return ask("POST", "figma/uploads/", {
      bytes: bytes,
      key: node.id.replace(/[^0-9]/g, "-") + "-" + Date.now().toString(36) + "-" + randomWord(),
      query: {
        file: file && file.is_sure ? file.key : "",
        node_id: file && file.is_sure ? node.id : "",
        parent: assetOf(node),
        library: asked.library,
        name: node.name,
      },
    });
  },

  close: function () {
    figma.closePlugin();
  },
};
