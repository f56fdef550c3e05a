/*
 * A small Figma: one document, and for each plugin that is opened in it the `figma` object of the Plugin API, as far as
 * mediagen's plugin uses it. It throws where Figma throws under "documentAccess": "dynamic-page", it gives no fileKey, and
 * it lets requests out only to the hosts of the manifest, from the origin "null", by the rules of CORS.
 *
 * Written after the plugin typings 1.142 and Figma's documentation. Runs in node (run.js) and in a browser (host.html).
 */
(function (root, factory) {
  const made = factory();
  if (typeof module === "object" && module.exports) module.exports = made;
  else root.FakeFigma = made;
})(typeof self === "undefined" ? this : self, function () {
  "use strict";

  const MAX_SIDE = 4096;
  const MAX_ENTRY = 100 * 1024;
  const FETCH_OPTIONS = ["method", "headers", "headersObject", "body", "credentials", "cache", "redirect", "referrer", "integrity"];

  function isBytes(value) {
    return Object.prototype.toString.call(value) === "[object Uint8Array]";
  }

  // ---------------------------------------------------------------- pictures

  /** [width, height] of a PNG, JPEG or GIF; throws as figma.createImage does for anything else. */
  function measured(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (bytes.length > 24 && view.getUint32(0) === 0x89504e47) return [view.getUint32(16), view.getUint32(20)];
    if (bytes.length > 10 && view.getUint32(0) === 0x47494638) return [view.getUint16(6, true), view.getUint16(8, true)];
    if (bytes.length > 4 && view.getUint16(0) === 0xffd8) {
      for (let at = 2; at + 9 < bytes.length; ) {
        const marker = view.getUint16(at);
        if (marker >= 0xffc0 && marker <= 0xffcf && [0xffc4, 0xffc8, 0xffcc].indexOf(marker) < 0) {
          return [view.getUint16(at + 7), view.getUint16(at + 5)];
        }
        at += 2 + view.getUint16(at + 2);
      }
    }
    throw new Error("in createImage: Image type is unsupported");
  }

  function hashOf(bytes) {
    let a = 0x811c9dc5;
    let b = 0x1234567;
    for (let i = 0; i < bytes.length; i += 1) {
      a = Math.imul(a ^ bytes[i], 0x01000193) >>> 0;
      b = (Math.imul(b, 31) + bytes[i]) >>> 0;
    }
    return ("00000000" + a.toString(16)).slice(-8) + ("00000000" + b.toString(16)).slice(-8) + bytes.length.toString(16);
  }

  const CRC = [];
  for (let n = 0; n < 256; n += 1) {
    let c = n;
    for (let k = 0; k < 8; k += 1) c = c & 1 ? 0xedb88320 ^ (c >>> 1) : c >>> 1;
    CRC[n] = c >>> 0;
  }

  function chunk(name, data) {
    const made = new Uint8Array(data.length + 12);
    const view = new DataView(made.buffer);
    view.setUint32(0, data.length);
    for (let i = 0; i < 4; i += 1) made[4 + i] = name.charCodeAt(i);
    made.set(data, 8);
    let crc = 0xffffffff;
    for (let i = 4; i < data.length + 8; i += 1) crc = CRC[(crc ^ made[i]) & 255] ^ (crc >>> 8);
    view.setUint32(data.length + 8, (crc ^ 0xffffffff) >>> 0);
    return made;
  }

  /** A whole PNG of one colour, uncompressed: what exportAsync gives for a layer. */
  function painted(width, height, colour) {
    const row = width * 3 + 1;
    const raw = new Uint8Array(row * height);
    for (let y = 0; y < height; y += 1) for (let x = 0; x < width; x += 1) raw.set(colour, y * row + 1 + x * 3);
    const blocks = Math.max(1, Math.ceil(raw.length / 65535));
    const packed = new Uint8Array(raw.length + blocks * 5 + 6);
    packed.set([0x78, 0x01]);
    let to = 2;
    let s1 = 1;
    let s2 = 0;
    for (let i = 0; i < raw.length; i += 1) {
      s1 = (s1 + raw[i]) % 65521;
      s2 = (s2 + s1) % 65521;
    }
    for (let block = 0; block < blocks; block += 1) {
      const part = raw.subarray(block * 65535, (block + 1) * 65535);
      packed.set([block === blocks - 1 ? 1 : 0, part.length & 255, part.length >> 8, ~part.length & 255, (~part.length >> 8) & 255], to);
      packed.set(part, to + 5);
      to += part.length + 5;
    }
    new DataView(packed.buffer).setUint32(to, ((s2 << 16) | s1) >>> 0);
    const header = new Uint8Array(13);
    new DataView(header.buffer).setUint32(0, width);
    new DataView(header.buffer).setUint32(4, height);
    header.set([8, 2, 0, 0, 0], 8);
    const parts = [new Uint8Array([137, 80, 78, 71, 13, 10, 26, 10]), chunk("IHDR", header), chunk("IDAT", packed), chunk("IEND", new Uint8Array(0))];
    const made = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    parts.reduce((at, part) => (made.set(part, at), at + part.length), 0);
    return made;
  }

  // ---------------------------------------------------------------- the document, which all who work in it share

  class Document {
    /** `pages`: {"0:1": "Page 1"} */
    constructor(name, pages) {
      this.name = name;
      this.images = new Map();
      this.nextId = 1;
      this.root = { id: "0:0", type: "DOCUMENT", name: name, parent: null, children: [], shared: {}, removed: false };
      for (const id of Object.keys(pages || { "0:1": "Page 1" })) this.addPage(id, (pages || {})[id] || "Page 1");
    }

    addPage(id, name) {
      this.root.children.push({ id: id, type: "PAGE", name: name, parent: this.root, children: [], shared: {}, removed: false });
    }

    removePage(id) {
      const page = this.root.children.find((one) => one.id === id);
      this.root.children = this.root.children.filter((one) => one !== page);
      page.removed = true;
    }

    newId() {
      this.nextId += 1;
      return "1:" + this.nextId;
    }

    find(id) {
      const look = (node) => (node.id === id ? node : node.children ? node.children.map(look).find(Boolean) : undefined);
      return look(this.root) || null;
    }

    /** For tests: what stands on the pages, as plain data. */
    seen() {
      const shown = (node) => ({
        id: node.id, name: node.name, x: node.x, y: node.y, width: node.width, height: node.height,
        fill: node.fills && node.fills[0] ? node.fills[0].imageHash : null, shared: node.shared, relaunch: node.relaunch,
      });
      return {
        name: this.root.name, shared: this.root.shared,
        pages: this.root.children.map((page) => ({ id: page.id, name: page.name, children: page.children.map(shown) })),
      };
    }
  }

  // ---------------------------------------------------------------- one plugin in it

  /**
   * `options`: manifest; storage (a Map that outlives the plugin); post(message): to the page; request(url, init): the way out,
   * an async function that answers {status, statusText, headers, body: Uint8Array}; readOnly.
   */
  function open(document, options) {
    const manifest = options.manifest;
    const dynamic = manifest.documentAccess === "dynamic-page";
    const loaded = new Set();
    const wrapped = new Map();
    const facades = new WeakMap();
    const listeners = {};
    let current = document.root.children[0];
    let selection = [];
    let isOpen = true;
    let isShown = false;
    loaded.add(current);

    function writing(what) {
      if (options.readOnly) throw new Error("in " + what + ": Cannot write to node in read-only mode");
    }

    function pageOf(node) {
      while (node && node.type !== "PAGE") node = node.parent;
      return node;
    }

    function reachable(node, what) {
      if (node.removed) throw new Error("in " + what + ": The node with id \"" + node.id + "\" does not exist");
      const page = pageOf(node);
      if (dynamic && page && !loaded.has(page)) {
        throw new Error(
          "in " + what + ": Cannot access data on a page that has not been explicitly loaded. Call `page.loadAsync()` first."
        );
      }
    }

    function facade(node) {
      if (!node) return null;
      if (!wrapped.has(node)) wrapped.set(node, Object.preventExtensions(makeFacade(node)));
      return wrapped.get(node);
    }

    function makeFacade(node) {
      const made = {};
      facades.set(made, node);
      const property = (name, get, set) => Object.defineProperty(made, name, { enumerable: true, get: get, set: set });
      const simple = (name, check) =>
        property(
          name,
          () => {
            reachable(node, "get_" + name);
            return node[name];
          },
          (value) => {
            writing("set_" + name);
            reachable(node, "set_" + name);
            node[name] = check(value);
          }
        );
      const number = (value) => {
        if (typeof value !== "number" || !isFinite(value)) throw new Error("Expected number, received " + typeof value);
        return value;
      };
      const string = (value) => {
        if (typeof value !== "string") throw new Error("Expected string, received " + typeof value);
        return value;
      };

      property("id", () => node.id);
      property("type", () => node.type);
      property("removed", () => node.removed);
      property("parent", () => facade(node.parent));
      property("name", () => node.name, (value) => {
        writing("set_name");
        node.name = string(value);
      });
      made.getSharedPluginData = (space, key) => {
        checkSpace(space);
        // Of a page that is not loaded, only what lies on the page itself can be read.
        if (node.type !== "PAGE" && node.type !== "DOCUMENT") reachable(node, "getSharedPluginData");
        return (node.shared[space] || {})[key] || "";
      };
      made.setSharedPluginData = (space, key, value) => {
        writing("setSharedPluginData");
        checkSpace(space);
        if (node.type !== "DOCUMENT") reachable(node, "setSharedPluginData");
        if (typeof value !== "string") throw new Error("in setSharedPluginData: Expected string, received " + typeof value);
        if (space.length + key.length + value.length > MAX_ENTRY) throw new Error("in setSharedPluginData: too much data");
        node.shared[space] = node.shared[space] || {};
        if (value === "") delete node.shared[space][key];
        else node.shared[space][key] = value;
      };

      if (node.type === "DOCUMENT") {
        property("children", () => node.children.map(facade));
        made.findAllWithCriteria = () => {
          throw new Error("in findAllWithCriteria: Cannot call with documentAccess: dynamic-page before figma.loadAllPagesAsync");
        };
        return made;
      }

      property("children", () => {
        reachable(node, "get_children");
        return node.children ? node.children.map(facade) : undefined;
      });
      made.findAllWithCriteria = (criteria) => {
        reachable(node, "findAllWithCriteria");
        for (const name of Object.keys(criteria)) {
          if (["types", "pluginData", "sharedPluginData"].indexOf(name) < 0) throw new Error("Unrecognized key(s) in object: " + name);
        }
        const wanted = criteria.sharedPluginData;
        const fits = (one) =>
          (!criteria.types || criteria.types.indexOf(one.type) >= 0) &&
          (!wanted || (one.shared[wanted.namespace] && (!wanted.keys || wanted.keys.some((key) => one.shared[wanted.namespace][key]))));
        const found = [];
        const look = (one) => (one.children || []).forEach((child) => (fits(child) && found.push(child), look(child)));
        look(node);
        return found.map(facade);
      };
      made.appendChild = (child) => {
        writing("appendChild");
        reachable(node, "appendChild");
        const inner = facades.get(child);
        if (!inner) throw new Error("in appendChild: Expected node");
        reachable(inner, "appendChild");
        inner.parent.children = inner.parent.children.filter((one) => one !== inner);
        inner.parent = node;
        node.children.push(inner);
      };

      if (node.type === "PAGE") {
        made.loadAsync = async () => {
          await pause();
          loaded.add(node);
        };
        property("selection", () => selection.filter((one) => !one.removed).map(facade), (nodes) => {
          const inner = nodes.map((one) => facades.get(one));
          if (inner.some((one) => pageOf(one) !== node)) throw new Error("in set_selection: The selection of a page can only include nodes in that page");
          select(inner);
        });
        return made;
      }

      ["x", "y"].forEach((name) => simple(name, number));
      ["width", "height"].forEach((name) => property(name, () => (reachable(node, "get_" + name), node[name])));
      made.resize = (width, height) => {
        writing("resize");
        reachable(node, "resize");
        if (!(number(width) >= 0.01) || !(number(height) >= 0.01)) throw new Error("in resize: Expected a number of at least 0.01");
        node.width = width;
        node.height = height;
      };
      simple("fills", (fills) => {
        for (const fill of fills) {
          if (fill.type === "IMAGE" && !document.images.has(fill.imageHash)) throw new Error("in set_fills: Invalid image hash");
          if (fill.type === "IMAGE" && ["FILL", "FIT", "CROP", "TILE"].indexOf(fill.scaleMode) < 0) throw new Error("in set_fills: scaleMode");
        }
        return Object.freeze(fills.map((fill) => Object.freeze(Object.assign({ visible: true, opacity: 1 }, fill))));
      });
      made.setRelaunchData = (data) => {
        writing("setRelaunchData");
        const known = (manifest.relaunchButtons || []).map((button) => button.command);
        for (const command of Object.keys(data)) {
          if (known.indexOf(command) < 0) throw new Error("in setRelaunchData: " + command + " is not in the manifest's relaunchButtons");
        }
        node.relaunch = data;
      };
      made.remove = () => {
        writing("remove");
        reachable(node, "remove");
        node.parent.children = node.parent.children.filter((one) => one !== node);
        node.removed = true;
      };
      made.exportAsync = async (settings) => {
        reachable(node, "exportAsync");
        await pause();
        if (settings && ["PNG", "JPG", "SVG", "PDF"].indexOf(settings.format) < 0) throw new Error("in exportAsync: format");
        const scale = settings && settings.constraint ? settings.constraint.value : 1;
        return painted(Math.max(1, Math.round(node.width * scale)), Math.max(1, Math.round(node.height * scale)), node.colour || [200, 60, 30]);
      };
      return made;
    }

    function checkSpace(space) {
      if (!/^[A-Za-z0-9_.]{3,}$/.test(space)) throw new Error("in setSharedPluginData: The namespace must be at least 3 characters");
    }

    function select(nodes) {
      selection = nodes;
      emit("selectionchange");
    }

    function emit(name, value) {
      (listeners[name] || []).forEach((listener) => listener(value));
    }

    function pause() {
      return new Promise((go) => setTimeout(go, 0));
    }

    function forbidden(what, instead) {
      return new Error("in " + what + ": Cannot call with documentAccess: dynamic-page. Use " + instead + " instead.");
    }

    const stored = (key) => {
      if (typeof key !== "string") throw new Error("Expected string, received " + typeof key);
      return key;
    };

    const figma = {
      apiVersion: "1.0.0",
      editorType: "figma",
      mode: "default",
      fileKey: undefined, // only for private plugins
      mixed: Symbol("mixed"),
      root: null,
      viewport: {
        center: { x: 500, y: 400 },
        scrollAndZoomIntoView: (nodes) => {
          nodes.forEach((node) => reachable(facades.get(node), "scrollAndZoomIntoView"));
          document.shown = nodes.map((node) => node.id);
        },
      },
      clientStorage: {
        getAsync: async (key) => (await pause(), options.storage.has(stored(key)) ? structuredClone(options.storage.get(key)) : undefined),
        setAsync: async (key, value) => (await pause(), void options.storage.set(stored(key), structuredClone(value))),
        deleteAsync: async (key) => (await pause(), void options.storage.delete(stored(key))),
        keysAsync: async () => (await pause(), Array.from(options.storage.keys())),
      },
      ui: {
        onmessage: undefined,
        postMessage: (message) => {
          if (!isShown) throw new Error("in postMessage: No UI to send a message to. Call figma.showUI first.");
          if (isOpen) options.post(structuredClone(message));
        },
      },
      showUI: (html, shape) => {
        if (typeof html !== "string" || !html) throw new Error("in showUI: Expected a string");
        isShown = true;
        if (options.show) options.show(html, shape || {});
      },
      closePlugin: () => {
        isOpen = false;
        if (options.closed) options.closed();
      },
      notify: () => ({ cancel: () => undefined }),
      commitUndo: () => undefined,
      on: (name, listener) => {
        if (["selectionchange", "currentpagechange", "close", "run"].indexOf(name) < 0) throw new Error("in on: unknown event " + name);
        (listeners[name] = listeners[name] || []).push(listener);
      },
      getNodeById: () => {
        throw forbidden("getNodeById", "figma.getNodeByIdAsync");
      },
      getNodeByIdAsync: async (id) => {
        await pause();
        const node = document.find(id);
        // Asking for a node by its id loads the page that it lies on.
        if (node && pageOf(node) && node.type !== "PAGE") loaded.add(pageOf(node));
        return facade(node);
      },
      setCurrentPageAsync: async (page) => {
        await pause();
        const inner = facades.get(page);
        if (!inner || inner.type !== "PAGE") throw new Error("in setCurrentPageAsync: Expected a page");
        loaded.add(inner);
        current = inner;
        selection = [];
        emit("currentpagechange");
      },
      createFrame: () => {
        writing("createFrame");
        const node = {
          id: document.newId(), type: "FRAME", name: "Frame", parent: current, children: [], shared: {}, removed: false,
          x: 0, y: 0, width: 100, height: 100, fills: [],
        };
        current.children.push(node);
        return facade(node);
      },
      createImage: (bytes) => {
        writing("createImage");
        if (!isBytes(bytes)) throw new Error("in createImage: Expected Uint8Array");
        const [width, height] = measured(bytes);
        if (width > MAX_SIDE || height > MAX_SIDE) throw new Error("in createImage: Image is too large");
        const hash = hashOf(bytes);
        document.images.set(hash, { width: width, height: height, bytes: bytes.length });
        return Object.freeze({ hash: hash, getSizeAsync: async () => ({ width: width, height: height }) });
      },
    };
    Object.defineProperty(figma, "currentPage", {
      enumerable: true,
      get: () => facade(current),
      set: () => {
        throw forbidden("set_currentPage", "figma.setCurrentPageAsync");
      },
    });
    Object.defineProperty(figma, "currentUser", {
      get: () => {
        if ((manifest.permissions || []).indexOf("currentuser") < 0) throw new Error("in currentUser: permission currentuser is missing in the manifest");
        return { id: "1", name: "Test Person" };
      },
    });
    Object.defineProperty(figma, "root", { value: facade(document.root) });

    return {
      figma: figma,
      fetch: (url, init) => sent(manifest, options.request, url, init || {}),
      /** A message from the page. */
      heard: (message) => {
        if (isOpen && typeof figma.ui.onmessage === "function") figma.ui.onmessage(structuredClone(message), { origin: "null" });
      },
      /** A person selects these layers. */
      select: (ids) => select(ids.map((id) => document.find(id))),
      goTo: async (id) => figma.setCurrentPageAsync(facade(document.find(id))),
      /** The plugin's window is closed, at whatever it is doing. */
      close: () => {
        isOpen = false;
      },
      isOpen: () => isOpen,
    };
  }

  // ---------------------------------------------------------------- figma's fetch

  function mayAsk(manifest, url) {
    const access = manifest.networkAccess || {};
    const allowed = (access.allowedDomains || []).concat(access.devAllowedDomains || []);
    const origin = /^https?:\/\/[^/]+/.exec(url);
    return Boolean(origin) && allowed.some((domain) => domain === "*" || origin[0] === domain || url.indexOf(domain + "/") === 0);
  }

  async function sent(manifest, request, url, init) {
    if (!mayAsk(manifest, url)) {
      throw new TypeError("Failed to fetch: " + url + " violates the Content Security Policy made of the manifest's networkAccess");
    }
    for (const name of Object.keys(init)) if (FETCH_OPTIONS.indexOf(name) < 0) throw new Error("in fetch: Unrecognized key(s) in object: " + name);
    if (init.body !== undefined && typeof init.body !== "string" && !isBytes(init.body)) throw new Error("in fetch: Expected body to be a string or Uint8Array");
    const response = await request(url, init);
    const body = () => response.body.slice();
    // Only what Figma's response has: no Headers object, no streams.
    return {
      ok: response.status >= 200 && response.status < 300,
      status: response.status,
      statusText: response.statusText,
      redirected: false,
      type: "cors",
      url: url,
      headersObject: response.headers,
      arrayBuffer: async () => body().buffer,
      text: async () => new TextDecoder().decode(body()),
      json: async () => JSON.parse(new TextDecoder().decode(body())),
    };
  }

  return { Document: Document, open: open, painted: painted, measured: measured };
});
