// Painting a mask on a picture: one bit a pixel of the picture, so that what is painted is what is filled.
import {$, el} from "./dom.js";

const REMEMBERED = 50;

export class Brush {
  constructor() {
    this.canvas = null;
    this.hidden = true;
    this.size = $("#brush-size");
    this.size.addEventListener("input", () => this.sized());
    $("#brush-erase").addEventListener("click", () => this.erase(!this.erasing));
    $("#brush-invert").addEventListener("click", () => this.change((bits) => bits.map((bit) => 1 - bit)));
    $("#brush-clear").addEventListener("click", () => this.change((bits) => bits.map(() => 0)));
    $("#brush-undo").addEventListener("click", () => this.undo());
  }

  get erasing() {
    return $("#brush-erase").getAttribute("aria-pressed") === "true";
  }

  erase(on) {
    $("#brush-erase").setAttribute("aria-pressed", String(on));
  }

  sized() {
    $("#brush-shown").textContent = `${this.size.value} px`;
  }

  // Lay an empty mask over the picture of a slot; none if the slot is empty.
  attach(slot) {
    this.canvas?.remove();
    this.canvas = null;
    if (!slot.value) return;
    [this.width, this.height] = [slot.image.naturalWidth, slot.image.naturalHeight];
    this.bits = new Uint8Array(this.width * this.height);
    this.past = [];
    this.cursor = {x: this.width >> 1, y: this.height >> 1};
    const side = Math.min(this.width, this.height);
    this.size.max = Math.max(2, side >> 1);
    this.size.value = Math.max(1, side >> 3);
    this.sized();
    this.erase(false);
    const help = "Mask: paint what to fill. Arrow keys move, Space paints, E erases, Z undoes.";
    const size = {width: this.width, height: this.height};
    this.canvas = el("canvas", {...size, id: "mask", tabindex: 0, role: "img", "aria-label": help});
    this.canvas.addEventListener("pointerdown", (event) => this.begin(event));
    this.canvas.addEventListener("pointermove", (event) => this.draw(event));
    this.canvas.addEventListener("keydown", (event) => this.key(event));
    for (const end of ["focus", "blur"]) this.canvas.addEventListener(end, () => this.render());
    this.canvas.hidden = this.hidden;
    slot.over.append(this.canvas);
    this.render();
  }

  // A mask lies only over a picture that is inpainted.
  show(on) {
    this.hidden = !on;
    if (this.canvas) this.canvas.hidden = !on;
  }

  at(event) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    return {x: x * this.width, y: y * this.height};
  }

  begin(event) {
    event.preventDefault();
    this.canvas.focus({preventScroll: true});
    this.canvas.setPointerCapture(event.pointerId);
    this.byKeys = false;
    this.remember();
    this.from = this.at(event);
    this.stroke(this.from, this.from);
  }

  draw(event) {
    if (!this.canvas.hasPointerCapture(event.pointerId)) return;
    const to = this.at(event);
    this.stroke(this.from, to);
    this.from = to;
  }

  key(event) {
    const step = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    this.byKeys = true;
    if (step) {
      this.cursor.x = Math.min(this.width - 1, Math.max(0, this.cursor.x + step[0]));
      this.cursor.y = Math.min(this.height - 1, Math.max(0, this.cursor.y + step[1]));
      this.render();
    } else if (event.key === " ") {
      this.remember();
      const centre = {x: this.cursor.x + 0.5, y: this.cursor.y + 0.5};
      this.stroke(centre, centre);
    } else if (event.key === "e") this.erase(!this.erasing);
    else if (event.key === "z") this.undo();
    else return;
    event.preventDefault();
  }

  // Set the pixels whose centre is within the brush's radius of a line.
  stroke(from, to) {
    const radius = Math.max(0.75, this.size.value / 2);
    const [dx, dy] = [to.x - from.x, to.y - from.y];
    const length2 = dx * dx + dy * dy;
    const range = (a, b, most) => [
      Math.max(0, Math.floor(Math.min(a, b) - radius)),
      Math.min(most, Math.ceil(Math.max(a, b) + radius)),
    ];
    const [left, right] = range(from.x, to.x, this.width);
    const [top, bottom] = range(from.y, to.y, this.height);
    for (let y = top; y < bottom; y += 1) {
      for (let x = left; x < right; x += 1) {
        const [px, py] = [x + 0.5 - from.x, y + 0.5 - from.y];
        const along = length2 ? Math.min(1, Math.max(0, (px * dx + py * dy) / length2)) : 0;
        const near = Math.hypot(px - along * dx, py - along * dy) < radius;
        if (near) this.bits[y * this.width + x] = this.erasing ? 0 : 1;
      }
    }
    this.render();
  }

  change(made) {
    if (!this.canvas) return;
    this.remember();
    this.bits = made(this.bits);
    this.render();
  }

  remember() {
    this.past.push(this.bits.slice());
    if (this.past.length > REMEMBERED) this.past.shift();
  }

  undo() {
    if (!this.canvas || this.past.length === 0) return;
    this.bits = this.past.pop();
    this.render();
  }

  image(colour) {
    const data = new ImageData(this.width, this.height);
    this.bits.forEach((bit, i) => data.data.set(colour(bit, i), 4 * i));
    return data;
  }

  render() {
    const context = this.canvas.getContext("2d");
    // hatched, to be seen on a picture of any colour
    const shade = (i) => ((i % this.width) + Math.floor(i / this.width)) % 2 ? 225 : 150;
    context.putImageData(this.image((bit, i) => (bit ? [150, 70, 255, shade(i)] : [0, 0, 0, 0])), 0, 0);
    if (!this.byKeys || document.activeElement !== this.canvas) return;
    context.fillStyle = "#ffd400";
    context.fillRect(this.cursor.x, this.cursor.y, 1, 1);
  }

  // The mask as a PNG: white is filled, black is kept.
  value() {
    if (!this.canvas || !this.bits.includes(1)) throw new Error("Paint the area to fill first.");
    const canvas = el("canvas", {width: this.width, height: this.height});
    canvas.getContext("2d").putImageData(this.image((bit) => (bit ? [255, 255, 255, 255] : [0, 0, 0, 255])), 0, 0);
    return canvas.toDataURL("image/png");
  }
}
