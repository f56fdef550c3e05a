// How Wagtail's forms make our chooser, and ask it what it has. The chooser itself is mediagen/chooser/chooser.js.
(() => {
  const tell = (element, name, detail) => element.dispatchEvent(new CustomEvent(name, { bubbles: true, detail }));

  class BoundChooser {
    constructor(element, parentCapabilities) {
      this.element = element;
      this.list = element.querySelector("select");
      this.idForLabel = this.list.id;
      this.parentCapabilities = parentCapabilities || new Map();
    }

    get item() {
      return this.element.querySelector(".mediagen-chosen-item");
    }

    getValue() {
      return this.list.value;
    }

    getState() {
      const image = this.item?.querySelector("[data-src]");
      if (!image) return null;
      const alt = this.item.querySelector("[data-alt]");
      return {
        value: this.list.value,
        asset: this.item.dataset.asset,
        large: image.dataset.large,
        name: this.item.querySelector("[data-name]").textContent,
        src: image.getAttribute("src"),
        alt: alt.textContent === alt.dataset.without ? "" : alt.textContent,
        width: image.getAttribute("width"),
        height: image.getAttribute("height"),
      };
    }

    setState(state) {
      tell(this.element, "mediagen:set", state && { ...state, pick: state.value });
    }

    setInvalid(invalid) {
      this.element.toggleAttribute("data-invalid", Boolean(invalid));
    }

    getTextLabel() {
      return this.item?.querySelector("[data-name]").textContent || null;
    }

    focus() {
      this.element.querySelector("[data-choose]")?.focus();
    }

    setCapabilityOptions(name, options) {
      Object.assign(this.parentCapabilities.get(name), options);
    }
  }

  class AssetChooser {
    constructor(html) {
      this.html = html;
    }

    render(placeholder, name, id, initialState, parentCapabilities) {
      const template = document.createElement("template");
      template.innerHTML = this.html.replace(/__NAME__/g, name).replace(/__ID__/g, id).trim();
      const element = template.content.firstElementChild;
      placeholder.replaceWith(element);
      const bound = new BoundChooser(element, parentCapabilities);
      setTimeout(() => tell(element, "mediagen:added")); // its label comes after it
      if (initialState) bound.setState(initialState);
      return bound;
    }

    getByName(name, container) {
      const list = container.querySelector(`select[name="${CSS.escape(name)}"]`);
      return new BoundChooser(list.closest("[data-mediagen-chooser]"));
    }
  }

  window.telepath.register("mediagen.wagtail.AssetChooser", AssetChooser);
})();
