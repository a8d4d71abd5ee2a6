// One picture, how it was made, and what can be done with it.
import {get, pictureURL, remove} from "./api.js";
import {$, el, picture} from "./dom.js";
import {date} from "./gallery.js";
import {reporting} from "./notice.js";

const TOOLS = {
  inpaint: "Inpaint", outpaint: "Outpaint", edit: "Image to image", upscale: "Upscale", interpolate: "Interpolate",
};

export class Viewer {
  // `acts` has the functions use(record), edit(tool, name) and removed(name).
  constructor(acts) {
    this.acts = acts;
    this.dialog = $("#viewer");
    this.dialog.addEventListener("click", (event) => event.target === this.dialog && this.dialog.close());
    this.dialog.addEventListener("keydown", (event) => {
      const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
      if (step) this.go(this.at + step);
    });
  }

  open(names, at) {
    this.names = names;
    this.dialog.showModal();
    this.go(at);
  }

  async go(at) {
    if (at < 0 || at >= this.names.length) return;
    this.at = at;
    const name = this.names[at];
    const facts = el("dl", {class: "facts"});
    const actions = el("div", {class: "actions"});
    const step = (by, sign, label) => el("button", {type: "button", class: "quiet", "aria-label": label,
      disabled: !(at + by in this.names), onclick: () => this.go(at + by)}, sign);
    this.dialog.replaceChildren(
      el("div", {class: "heading"}, el("h2", {}, date(name)), step(-1, "←", "Newer"), step(1, "→", "Older"),
        el("button", {type: "button", class: "quiet", "aria-label": "Close", onclick: () => this.dialog.close()},
          "✕")),
      el("div", {class: "look"}, picture(pictureURL(name), "The picture"), el("div", {}, facts, actions)));
    const record = await reporting(() => get(`${pictureURL(name)}/record`));
    if (this.names[this.at] !== name) return;
    const fact = ([key, value]) => [el("dt", {}, key), el("dd", {}, value)];
    if (record) facts.replaceChildren(...told(record).flatMap(fact));
    const act = (label, run, kind = "") => el("button", {type: "button", class: kind, onclick: run}, label);
    const closing = (run) => () => {
      this.dialog.close();
      run();
    };
    actions.replaceChildren(
      ...(record ? [act("Use these settings", closing(() => this.acts.use(record)), "primary")] : []),
      ...Object.entries(TOOLS).map(([tool, label]) => act(label, closing(() => this.acts.edit(tool, name)))),
      el("a", {class: "button", href: pictureURL(name), download: name}, "Download"),
      act("Remove", async () => {
        if (await reporting(() => remove(pictureURL(name)))) {
          this.dialog.close();
          this.acts.removed(name);
        }
      }, "danger"));
    if (!this.dialog.contains(document.activeElement)) $("button.primary", actions)?.focus();
  }
}

function told(record) {
  const {solver, steps, grid, guidance, ...rest} = record.settings;
  const found = [["Run", record.run]];
  if (record.work) found.push(["Task", `${record.work.command} ${said(record.work.options)}`]);
  if (record.label !== null) found.push(["Label", record.label]);
  if (record.prompt) found.push(["Prompt", record.prompt]);
  found.push(["Seed", record.index ? `${record.seed}, picture ${record.index}` : String(record.seed)]);
  found.push(["Steps", `${steps} of ${solver}, ${grid}`]);
  if (guidance !== undefined && guidance !== 1) found.push(["Guidance", String(guidance)]);
  delete rest.clip;
  if (Object.keys(rest).length) found.push(["Settings", said(rest)]);
  return found;
}

const said = (values) =>
  Object.entries(values).filter(([, value]) => value !== null && value !== false && value !== 0)
    .map(([name, value]) => `${name} ${value}`).join(", ");
