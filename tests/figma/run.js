/*
 * Runs the plugin's code.js, as it was written to FOLDER, in a sandbox without anything that Figma's does not have:
 *
 *     node run.js FOLDER
 *
 * One JSON object a line on standard input is a request, {id, op, ...}; one a line on standard output its answer. See plugin.py.
 */
"use strict";

const fs = require("fs");
const path = require("path");
const readline = require("readline");
const vm = require("vm");
const FakeFigma = require("./fake.js");

const folder = process.argv[2];
const manifest = JSON.parse(fs.readFileSync(path.join(folder, "manifest.json"), "utf8"));
const code = fs.readFileSync(path.join(folder, manifest.main), "utf8");
const html = fs.readFileSync(path.join(folder, manifest.ui), "utf8");

let document = new FakeFigma.Document("Campaign", { "0:1": "Page 1", "0:2": "Ideas" });
const plugins = {};
/** Faults of the network, taken in turn by requests whose address fits: {match, before: true} or {match, after: true}. */
let faults = [];
const requests = [];

// ---------------------------------------------------------------- the way out, with a browser's rules for CORS

const SIMPLE = ["accept", "accept-language", "content-language"];
const SIMPLE_TYPES = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"];

function blocked(why) {
  return new TypeError("Failed to fetch (" + why + ")");
}

function check(response, what) {
  const allowed = response.headers.get("access-control-allow-origin");
  if (allowed !== "null" && allowed !== "*") throw blocked(what + ": no Access-Control-Allow-Origin for null");
}

async function request(url, init) {
  const method = (init.method || "GET").toUpperCase();
  const headers = {};
  for (const name of Object.keys(init.headers || {})) headers[name.toLowerCase()] = init.headers[name];
  const unsafe = Object.keys(headers).filter(
    (name) => SIMPLE.indexOf(name) < 0 && !(name === "content-type" && SIMPLE_TYPES.indexOf(headers[name]) >= 0)
  );
  requests.push({ method: method, url: url, headers: headers });
  const fault = faults.findIndex((one) => url.indexOf(one.match) >= 0);
  const met = fault < 0 ? null : faults.splice(fault, 1)[0];
  if (met && met.before) throw blocked("the network is away");
  if (unsafe.length || ["GET", "HEAD", "POST"].indexOf(method) < 0) {
    const asked = { origin: "null", "access-control-request-method": method };
    if (unsafe.length) asked["access-control-request-headers"] = unsafe.sort().join(",");
    const preflight = await fetch(url, { method: "OPTIONS", headers: asked });
    await preflight.arrayBuffer();
    if (!preflight.ok) throw blocked("the preflight was answered " + preflight.status);
    check(preflight, "preflight");
    const let_in = (preflight.headers.get("access-control-allow-headers") || "").toLowerCase().split(/\s*,\s*/);
    for (const name of unsafe) if (let_in.indexOf(name) < 0) throw blocked("the header " + name + " is not allowed");
  }
  const response = await fetch(url, { method: method, headers: Object.assign({ origin: "null" }, headers), body: init.body });
  const body = new Uint8Array(await response.arrayBuffer());
  if (met && met.after) throw blocked("the answer was lost");
  if (response.headers.get("set-cookie")) throw blocked("a cookie was set");
  check(response, method);
  return { status: response.status, statusText: response.statusText, headers: Object.fromEntries(response.headers), body: body };
}

// ---------------------------------------------------------------- plugins

class Plugin {
  constructor(name, options) {
    this.name = name;
    this.storage = (plugins[name] && plugins[name].storage) || new Map();
    this.number = 0;
    this.waiting = new Map();
    this.events = [];
    this.inside = FakeFigma.open(document, {
      manifest: manifest,
      storage: this.storage,
      readOnly: Boolean(options.readOnly),
      request: request,
      post: (message) => this.told(message),
    });
    const sandbox = {
      figma: this.inside.figma,
      fetch: this.inside.fetch,
      setTimeout: (work, ms) => setTimeout(work, Math.min(ms, options.longestWaitMs || 5)),
      clearTimeout: clearTimeout,
      console: console,
      __html__: html,
    };
    vm.runInContext(code, vm.createContext(sandbox), { filename: "code.js" });
  }

  told(message) {
    if (message.event) return this.events.push(message);
    const go = this.waiting.get(message.id);
    this.waiting.delete(message.id);
    if (go) go(message);
  }

  ask(action, values) {
    this.number += 1;
    const id = this.number;
    return new Promise((go) => {
      this.waiting.set(id, go);
      this.inside.heard({ id: id, action: action, arguments: values });
    });
  }
}

const OPS = {
  open: async (asked) => {
    if (plugins[asked.plugin]) plugins[asked.plugin].inside.close();
    plugins[asked.plugin] = new Plugin(asked.plugin, asked.options || {});
    return true;
  },
  ask: async (asked) => {
    const answer = await plugins[asked.plugin].ask(asked.action, asked.arguments || {});
    if (answer.result && answer.result.constructor === Uint8Array) answer.result = { bytes: answer.result.length };
    return answer;
  },
  /** Both at the same moment. */
  race: async (asked) => Promise.all(asked.plugins.map((name) => plugins[name].ask(asked.action, asked.arguments || {}))),
  /** Ask, and close the plugin as soon as a request to `at` leaves. */
  cut: async (asked) => {
    const plugin = plugins[asked.plugin];
    const seen = requests.length;
    plugin.ask(asked.action, asked.arguments || {});
    for (let i = 0; i < 2000; i += 1) {
      if (requests.slice(seen).some((one) => one.url.indexOf(asked.at) >= 0)) break;
      await new Promise((go) => setTimeout(go, 5));
    }
    plugin.inside.close();
    return true;
  },
  close: async (asked) => plugins[asked.plugin].inside.close(),
  select: async (asked) => plugins[asked.plugin].inside.select(asked.ids),
  goTo: async (asked) => plugins[asked.plugin].inside.goTo(asked.page),
  events: async (asked) => plugins[asked.plugin].events,
  seen: async () => document.seen(),
  fault: async (asked) => faults.push.apply(faults, asked.faults),
  requests: async () => requests,
  removePage: async (asked) => document.removePage(asked.page),
  addPage: async (asked) => document.addPage(asked.page, asked.name),
  rename: async (asked) => {
    document.root.name = asked.name;
  },
  /** A person edits a layer. */
  edit: async (asked) => Object.assign(document.find(asked.node), asked.values),
  storage: async (asked) => Object.fromEntries(plugins[asked.plugin].storage),
  /** Lines of code with `figma` of the plugin, to see what the fake itself does. */
  figma: async (asked) => {
    const work = new Function("figma", "return (async () => {" + asked.code + "})()");
    return work(plugins[asked.plugin].inside.figma);
  },
};

readline.createInterface({ input: process.stdin }).on("line", async (line) => {
  const asked = JSON.parse(line);
  let answer;
  try {
    const result = await OPS[asked.op](asked);
    answer = { id: asked.id, result: result === undefined ? null : result };
  } catch (error) {
    answer = { id: asked.id, error: String((error && error.stack) || error) };
  }
  process.stdout.write(JSON.stringify(answer, (key, value) => (key === "parent" ? undefined : value)) + "\n");
});
process.stdin.on("end", () => process.exit(0));
