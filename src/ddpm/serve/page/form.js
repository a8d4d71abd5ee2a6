// The form: what it shows for each tab and tool, what it asks for, and how a picture's record fills it.
import {$, $$, plural} from "./dom.js";
import {say} from "./notice.js";
import {RunChoice} from "./run.js";
import * as settings from "./settings.js";
import {keep, recall} from "./state.js";

const OPTIONS = {
  sample: [], inpaint: ["fit", "method"], outpaint: ["left", "right", "top", "bottom", "fit", "method"],
  edit: ["strength", "fit"], upscale: [], interpolate: ["fit"],
};
const VERBS = {
  sample: "Generate", inpaint: "Fill", outpaint: "Extend", edit: "Change", upscale: "Upscale",
  interpolate: "Interpolate",
};
const MOST = 64;
const words = (text) => (text ?? "").split(" ").filter(Boolean);

// The task that made a picture; of some commands the page has none.
export function taskOf(record) {
  const task = record.work?.command ?? "sample";
  if (Object.hasOwn(OPTIONS, task)) return task;
  throw new Error("This picture was made by another command, whose settings the page does not have.");
}

export class Form {
  constructor(node) {
    this.node = node;
    this.fields = node.elements;
    this.tab = "generate";
    this.run = new RunChoice(node, () => this.refresh());
    node.addEventListener("input", () => this.refresh());
    node.addEventListener("change", (event) => {
      if (event.target.name === "task") this.toTask(this.task);
      else this.refresh();
    });
    $("#lock").addEventListener("click", () => this.lock(!this.locked));
    this.fields.seed.addEventListener("input", () => {
      this.lock(this.fields.seed.value !== "");
      this.fields.first.value = 0;
    });
    $("#reset").addEventListener("click", () => {
      settings.fill(node, {});
      this.fields.first.value = 0;
      this.refresh();
    });
  }

  get task() {
    return this.tab === "edit" ? $("[name=task]:checked", this.node).value : "sample";
  }

  get locked() {
    return $("#lock").getAttribute("aria-pressed") === "true";
  }

  lock(on) {
    $("#lock").setAttribute("aria-pressed", String(on));
    if (!on) this.fields.first.value = 0;
    this.save();
  }

  async toTask(task) {
    if (this.tab === "edit") $(`[name=task][value=${task}]`, this.node).checked = true;
    this.refresh();
    this.node.dispatchEvent(new Event("task"));
    await this.run.offer(this.task);
    this.refresh();
  }

  // Show what belongs to the tab, the task and the run.
  refresh() {
    const has = words(this.node.dataset.has);
    for (const node of $$("[data-tabs], [data-tasks], [data-only]", this.node)) {
      const {tabs, tasks, only} = node.dataset;
      node.hidden = (tabs && !words(tabs).includes(this.tab)) || (tasks && !words(tasks).includes(this.task)) ||
        (only && !words(only).some((kind) => has.includes(kind))) || false;
    }
    const led = this.run.labels.length > 0 || this.prompts.length > 0 || this.tab === "compare";
    this.fields.guidance.disabled = !led;
    this.fields.guidance.title = led ? "" : "Needs a label or a prompt";
    this.fields.strength.nextElementSibling.textContent = this.fields.strength.value;
    $("#submit").textContent = this.tab === "compare" ? "Compare" : VERBS[this.task];
    const amount = this.number * this.subjects().length;
    $("#amount").textContent = this.tab === "compare" || this.task === "upscale" ? "" : plural(amount, "picture");
    this.save();
  }

  get number() {
    return this.task === "upscale" ? 1 : Math.max(1, Number(this.fields.number.value) || 1);
  }

  get prompts() {
    const field = this.fields.prompt;
    return field.closest("[hidden]") ? [] : field.value.split("\n").map((line) => line.trim()).filter(Boolean);
  }

  // Every label with every prompt.
  subjects() {
    const prompts = this.prompts;
    const labels = this.run.labels;
    return (labels.length ? labels : [null]).flatMap((label) =>
      (prompts.length ? prompts : [null]).map((prompt) => ({label, prompt})));
  }

  // The seed: kept, or a new one, which then stands in the form.
  seed() {
    if (!this.locked || this.fields.seed.value.trim() === "") {
      this.fields.seed.value = Math.floor(Math.random() * 2 ** 31);
      this.fields.first.value = 0;
    }
    const seed = Number(this.fields.seed.value);
    if (!Number.isSafeInteger(seed) || seed < 0) throw new Error("The seed must be a whole number, 0 or more.");
    return seed;
  }

  // One request without subjects and number; `asks` completes it.
  base() {
    if (!this.run.name) throw new Error("Choose a run first.");
    const task = this.task;
    const ask = {run: this.run.name, task, settings: settings.read(this.node), options: {}};
    if (task !== "interpolate") ask.seed = this.seed();
    if (task === "interpolate") ask.settings = ask.settings.steps ? {steps: ask.settings.steps} : {};
    if (task === "sample" && Number(this.fields.first.value)) ask.first = Number(this.fields.first.value);
    for (const name of OPTIONS[task]) {
      const {value, type} = this.fields[name];
      if (value !== "") ask.options[name] = type === "number" || type === "range" ? Number(value) : value;
    }
    return ask;
  }

  // The requests: of new pictures one, of edits one for each label and prompt.
  asks() {
    const subjects = this.subjects();
    const base = this.base();
    if (base.task !== "sample") return subjects.map((subject) => ({...base, ...subject, n: this.number}));
    const n = this.number * subjects.length;
    if (n > MOST) throw new Error(`These are ${n} pictures; ask for at most ${MOST} at once.`);
    const each = subjects.flatMap((subject) => Array(this.number).fill(subject));
    const listed = (name) => {
      const values = each.map((subject) => subject[name]);
      return values.every((value) => value === values[0]) ? values[0] : values;
    };
    return [{...base, n, label: listed("label"), prompt: listed("prompt")}];
  }

  // Choose the run of a picture that is edited, with its subject, unless that run is chosen already.
  async adopt(record) {
    if (record.run === this.run.name || !this.run.offers(record.run)) return;
    this.fields.prompt.value = record.prompt ?? "";
    await this.run.choose(record.run, record.label === null ? [] : [record.label]);
  }

  // Take over the settings of a picture.
  async fill(record) {
    if (record.work) {
      for (const name of OPTIONS[record.work.command]) this.fields[name].value = record.work.options[name] ?? "";
    }
    const name = record.run.split("/").pop();
    const known = this.run.offers(name);
    if (!known && this.tab === "edit" && !record.work) {
      say(`The picture is taken; ${name} is not a run for this tool, so its settings are not.`);
      return;
    }
    this.fields.prompt.value = record.prompt ?? "";
    await this.run.choose(known ? name : this.run.name, record.label === null ? [] : [record.label]);
    settings.fill(this.node, settings.different(record.settings, this.run.detail?.settings ?? {}));
    this.fields.seed.value = record.seed;
    this.lock(true);
    this.fields.number.value = record.work ? record.index + 1 : 1;
    this.fields.first.value = record.work ? 0 : record.index;
    this.refresh();
    if (!known) say(`The run ${name} is not served here; the other settings of the picture are taken over.`, "error");
    else if (!Number.isSafeInteger(record.seed)) say("The seed is too long for this page.", "error");
    else say(`Settings taken over: ${name}, seed ${record.seed}.`);
  }

  save() {
    const named = [...this.fields].filter((field) => field.name && field.type !== "radio" && field.type !== "file");
    keep("fields", Object.fromEntries(named.map((field) => [field.name, field.value])));
    keep("locked", this.locked);
    keep("task", $("[name=task]:checked", this.node).value);
    if (this.run.name) keep("run", this.run.name);
    if (this.run.name && this.node.dataset.has) keep("labels", this.run.labels);
  }

  restore() {
    for (const [name, value] of Object.entries(recall("fields", {}))) {
      if (this.fields[name] && name !== "run") this.fields[name].value = value;
    }
    $("#lock").setAttribute("aria-pressed", String(recall("locked", false)));
    const task = $(`[name=task][value="${CSS.escape(recall("task", "inpaint"))}"]`, this.node);
    if (task) task.checked = true;
  }
}
