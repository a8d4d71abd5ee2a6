// The choice of a run, its labels, and its own settings as the placeholders of the form.
import {get, segment} from "./api.js";
import {$, $$, el, plural, toggle} from "./dom.js";
import {reporting} from "./notice.js";
import {recall} from "./state.js";

const MANY = 24; // labels from which a filter is worth its place

export class RunChoice {
  constructor(form, changed) {
    this.form = form;
    this.changed = changed;
    this.runs = [];
    this.detail = null;
    form.elements.run.addEventListener("change", () => this.choose(form.elements.run.value));
    $("#label-filter").addEventListener("input", () => this.filter());
  }

  get name() {
    return this.form.elements.run.value;
  }

  get summary() {
    return this.runs.find((run) => run.name === this.name);
  }

  get labels() {
    return $$("#labels [aria-pressed=true]").map((chip) => chip.textContent);
  }

  // Read the runs of the server; of those, a task can use some.
  async load() {
    this.runs = (await get("api/runs")).filter((run) => !run.error);
  }

  async offer(task) {
    const suits = (run) => (task === "upscale") === Boolean(run.upscales);
    const fit = this.runs.filter(suits);
    const select = this.form.elements.run;
    const before = select.value || recall("run");
    select.replaceChildren(...fit.map((run) => el("option", {value: run.name}, run.name)));
    select.disabled = fit.length === 0;
    if (fit.length === 0) {
      $("#about-run").textContent =
        task === "upscale" ? "No run for super-resolution is served." : "No run is served yet; train one under Runs.";
      this.detail = null;
      this.show([], false);
      return;
    }
    if (fit.some((run) => run.name === before)) select.value = before;
    await this.choose(select.value);
  }

  // Whether the task of the moment can use a run.
  offers(name) {
    return [...this.form.elements.run.options].some((option) => option.value === name);
  }

  async choose(name, labels) {
    const run = this.runs.find((one) => one.name === name);
    if (!run || !this.offers(name)) return;
    this.form.elements.run.value = name;
    const kept = labels ?? (this.detail?.name === name ? this.labels : recall("labels", []));
    this.show(run.classes, run.text, kept);
    $("#about-run").textContent = `${about(run)} · loading…`;
    const detail = await reporting(() => get(`api/runs/${segment(name)}`));
    if (this.name !== name) return;
    $("#about-run").textContent = about(run);
    this.detail = detail ?? null;
    if (!detail) return;
    if (detail.classes.length !== run.classes.length) this.show(detail.classes, run.text, kept);
    if (detail.needs_label && this.labels.length === 0) $("#labels .chips button")?.click();
    this.placeholders(detail);
    this.changed();
  }

  placeholders({settings, size}) {
    const fields = this.form.elements;
    fields.steps.placeholder = settings.steps;
    fields.grid.placeholder = settings.grid;
    fields.guidance.placeholder = settings.guidance ?? 1;
    fields.solver.options[0].textContent = `${settings.solver} (default)`;
    fields.height.placeholder = size[0];
    fields.width.placeholder = size[1];
    for (const side of ["left", "right", "top", "bottom"]) fields[side].max = 64 * size[1];
  }

  show(classes, text, pressed = []) {
    const chip = (name) => toggle(name, pressed.includes(name), () => this.changed());
    $("#labels .chips").replaceChildren(...classes.map(chip));
    $("#label-filter").hidden = classes.length < MANY;
    $("#label-filter").value = "";
    const {negative} = this.form.elements;
    const before = negative.value || recall("fields", {}).negative;
    const option = (value, text = value) => el("option", {value}, text);
    negative.replaceChildren(option("", "none"), ...classes.map((name) => option(name)));
    if (classes.includes(before)) negative.value = before;
    this.form.dataset.has = [classes.length ? "classes" : "", text ? "text" : ""].join(" ");
    this.form.dispatchEvent(new Event("run"));
    this.changed();
  }

  filter() {
    const wanted = $("#label-filter").value.toLowerCase();
    for (const chip of $$("#labels .chips button")) {
      chip.hidden = !chip.textContent.toLowerCase().includes(wanted) && chip.getAttribute("aria-pressed") !== "true";
    }
  }
}

export function about(run) {
  const [height, width] = run.size;
  const parts = [`${height} × ${width} ${run.mode}`];
  if (run.classes.length) parts.push(plural(run.classes.length, "class", "classes"));
  if (run.text) parts.push("text");
  if (run.upscales) parts.push(`enlarges ${run.upscales} ×`);
  return parts.join(" · ");
}
