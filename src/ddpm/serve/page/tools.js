// The pictures that editing starts from.
import {fetched} from "./api.js";
import {$} from "./dom.js";
import {Brush} from "./brush.js";
import {Slot} from "./slot.js";

export class Tools {
  constructor(form) {
    this.form = form;
    this.brush = new Brush();
    this.slots = [
      new Slot($("#slot-0"), "Picture", (slot) => this.brush.attach(slot)),
      new Slot($("#slot-1"), "Second picture"),
    ];
    form.node.addEventListener("task", () => this.brush.show(form.task === "inpaint"));
  }

  // Whether the tool still lacks a picture.
  get wanting() {
    return this.wanted.some((slot) => !slot.value);
  }

  get wanted() {
    return this.form.task === "interpolate" ? this.slots : this.slots.slice(0, 1);
  }

  // Put a picture into the slot of a tool: the second one if interpolation has its first.
  async take(url) {
    const [first, second] = this.slots;
    const free = this.form.task === "interpolate" && first.value && !second.value ? second : first;
    await free.set(url);
  }

  async takeNamed(name) {
    await this.take(await fetched(name));
  }

  // Complete a request with its pictures and its mask.
  given(ask) {
    if (ask.task === "sample") return ask;
    if (this.wanting) throw new Error(`Choose ${this.wanted.length > 1 ? "two pictures" : "a picture"} first.`);
    const pictures = this.wanted.map((slot) => slot.value);
    return ask.task === "inpaint" ? {...ask, pictures, mask: this.brush.value()} : {...ask, pictures};
  }
}
