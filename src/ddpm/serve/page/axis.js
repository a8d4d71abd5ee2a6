// An axis of a comparison: what varies, and its values.
import {$$, el, toggle} from "./dom.js";
import {keep, recall} from "./state.js";

const KINDS = {
  solver: {pick: "solvers", apply: (ask, value) => set(ask, "solver", value)},
  steps: {hint: "5, 10, 20, 50", apply: (ask, value) => set(ask, "steps", Number(value))},
  guidance: {hint: "1, 2, 4", apply: (ask, value) => set(ask, "guidance", Number(value))},
  grid: {pick: "grids", apply: (ask, value) => set(ask, "grid", value)},
  seed: {hint: "1-4 or 1, 2, 3", apply: (ask, value) => ({...ask, seed: Number(value)})},
  label: {pick: "labels", apply: (ask, value) => ({...ask, label: value})},
  prompt: {hint: "one prompt per line", apply: (ask, value) => ({...ask, prompt: value})},
};
const MOST = 1000; // numbers in a range

const set = (ask, name, value) => ({...ask, settings: {...ask.settings, [name]: value}});

export class Axis {
  // `choices` has the functions solvers, grids and labels, which return names.
  constructor(title, choices, otherwise, optional) {
    this.title = title;
    this.choices = choices;
    this.store = `axis ${title}`;
    this.memory = recall(this.store, {kind: otherwise, values: {}});
    const names = [...(optional ? [""] : []), ...Object.keys(KINDS)];
    this.kinds = el("select", {"aria-label": title, onchange: () => this.to(this.kinds.value)},
      names.map((name) => el("option", {value: name}, name || "none")));
    this.body = el("div");
    this.node = el("div", {class: "axis"}, el("label", {}, title, this.kinds), this.body);
    this.to(this.memory.kind);
  }

  get kind() {
    return this.kinds.value;
  }

  to(kind) {
    this.kinds.value = kind in KINDS || kind === "" ? kind : "steps";
    this.memory.kind = this.kinds.value;
    this.show();
    this.save();
  }

  show() {
    const {pick, hint} = KINDS[this.kind] ?? {};
    const before = this.memory.values[this.kind];
    if (pick) this.body.replaceChildren(this.chips(this.choices[pick](), before ?? []));
    else if (hint) {
      const field = el("textarea", {rows: this.kind === "prompt" ? 3 : 1, placeholder: hint, spellcheck: "false",
        "aria-label": `Values of ${this.kind}`, oninput: () => this.save()});
      field.value = before ?? (this.kind === "prompt" || this.kind === "seed" ? "" : hint);
      this.body.replaceChildren(field);
    } else this.body.replaceChildren();
  }

  chips(names, pressed) {
    if (names.length === 0) return el("p", {class: "hint"}, "The run has none.");
    return el("div", {class: "chips"}, names.map((name) => toggle(name, pressed.includes(name), () => this.save())));
  }

  save() {
    const field = this.body.querySelector("textarea");
    if (this.kind) this.memory.values[this.kind] = field ? field.value : this.pressed();
    keep(this.store, this.memory);
  }

  pressed() {
    return $$("[aria-pressed=true]", this.body).map((chip) => chip.textContent);
  }

  // The values, and how each changes a request.
  values() {
    if (!this.kind) return [{name: "", apply: (ask) => ask}];
    const field = this.body.querySelector("textarea");
    const split = this.kind === "prompt" ? /\n/ : /[\s,]+/;
    const parts = (text) => text.split(split).map((part) => part.trim()).filter(Boolean);
    const names = field ? parts(field.value).flatMap(range) : this.pressed();
    const wrong = this.kind !== "prompt" && field ? names.find((name) => !Number.isFinite(Number(name))) : undefined;
    if (wrong !== undefined) throw new Error(`${this.kind}: ${wrong} is no number.`);
    if (names.length === 0) throw new Error(`Choose values of ${this.kind} to compare.`);
    return [...new Set(names)].map((name) => ({name, apply: (ask) => KINDS[this.kind].apply(ask, name)}));
  }
}

// "1-4" as 1, 2, 3, 4.
function range(text) {
  const found = /^(\d+)-(\d+)$/.exec(text);
  if (!found) return [text];
  const [first, last] = [Number(found[1]), Number(found[2])];
  return Array.from({length: Math.min(MOST, Math.max(0, last - first + 1))}, (_, i) => String(first + i));
}
