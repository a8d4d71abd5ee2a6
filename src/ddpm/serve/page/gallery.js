// Finished pictures, newest first.
import {get, pictureURL, segment} from "./api.js";
import {$, el, picture} from "./dom.js";
import {reporting} from "./notice.js";

const PAGE = 60;

export class Gallery {
  constructor(open) {
    this.names = [];
    this.open = open;
    this.node = $("#gallery");
    $("#more").addEventListener("click", () => this.more());
    new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && this.more()).observe($("#more"));
  }

  // Add what is new at the top.
  async refresh() {
    const found = await reporting(() => get(`api/pictures?n=${PAGE}`));
    if (!found) return;
    const fresh = found.filter((name) => !this.names.includes(name));
    if (this.names.length === 0) $("#more").hidden = found.length < PAGE;
    this.names = [...fresh, ...this.names];
    this.node.prepend(...fresh.map((name) => this.thumb(name)));
    this.hint();
  }

  async more() {
    if (this.loading || $("#more").hidden || this.names.length === 0) return;
    this.loading = true;
    const found = await reporting(() => get(`api/pictures?n=${PAGE}&before=${segment(this.names.at(-1))}`));
    this.loading = false;
    if (!found) return;
    this.names.push(...found);
    this.node.append(...found.map((name) => this.thumb(name)));
    $("#more").hidden = found.length < PAGE;
  }

  thumb(name) {
    const image = picture(pictureURL(name), "");
    image.loading = "lazy";
    return el("button", {type: "button", class: "frame", "data-name": name, "aria-label": `Picture of ${date(name)}`,
      title: date(name), onclick: () => this.open(this.names, this.names.indexOf(name))}, image);
  }

  forget(name) {
    this.names = this.names.filter((one) => one !== name);
    $(`[data-name="${CSS.escape(name)}"]`, this.node)?.remove();
    this.hint();
  }

  hint() {
    $(".hint", this.node)?.remove();
    if (this.names.length === 0) this.node.append(el("p", {class: "hint"}, "No pictures yet."));
  }
}

// The name of a picture begins with its time in microseconds.
export function date(name) {
  const time = new Date(Number.parseInt(name.slice(0, 15), 16) / 1000);
  return time.toLocaleString("en-GB", {day: "numeric", month: "short", hour: "2-digit", minute: "2-digit"});
}
