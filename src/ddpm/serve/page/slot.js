// A place for a picture that a tool starts from.
import {dataURL} from "./api.js";
import {el, picture} from "./dom.js";
import {reporting} from "./notice.js";

export class Slot {
  constructor(node, name, changed = () => {}) {
    this.node = node;
    this.name = name;
    this.changed = changed;
    this.value = null;
    this.empty();
  }

  // Take a picture as a data URL; resolves when it is shown.
  set(url) {
    this.value = url;
    this.image = picture(url, this.name);
    const size = el("span", {class: "hint"});
    this.over = el("div", {class: "easel"}, this.image);
    const other = el("button", {type: "button", class: "quiet", onclick: () => this.empty()}, "Another");
    this.node.replaceChildren(this.over, el("div", {class: "line"}, size, other));
    return new Promise((resolve) => {
      this.image.addEventListener("load", () => {
        size.textContent = `${this.image.naturalHeight} × ${this.image.naturalWidth}`;
        this.changed(this);
        resolve();
      });
      this.image.addEventListener("error", () => {
        this.empty();
        resolve();
      });
    });
  }

  empty() {
    this.value = null;
    const file = el("input", {type: "file", accept: "image/*", onchange: (event) => {
      const [chosen] = event.target.files;
      if (chosen) reporting(async () => this.set(await dataURL(chosen)));
    }});
    this.node.replaceChildren(el("label", {class: "blank"}, el("span", {}, this.name),
      el("span", {class: "hint"}, "Choose a file, drop one, or click a picture in the gallery"), file));
    this.changed(this);
  }
}
