// Starting a training: from the data on the server, or from an uploaded archive.
import {post, remove, segment, upload} from "./api.js";
import {el} from "./dom.js";
import {reporting, say} from "./notice.js";

export class TrainingForm {
  constructor(started) {
    const field = (label, input) => el("label", {}, label, input);
    this.source = el("select", {name: "source", onchange: () => this.chosen()});
    this.uploads = [];
    this.removal = el("button", {type: "button", hidden: true, onclick: () => reporting(() => this.remove())},
      "Remove the upload");
    const text = (name, more) => el("input", {name, spellcheck: "false", ...more});
    this.name = text("name", {required: true, placeholder: "cats", title: "Letters, digits, . - and _"});
    const budgets = "A time such as 90s, 10m or 2h, or a number of images such as 500k";
    this.budget = text("budget", {placeholder: "10m", title: budgets});
    this.size = el("input", {name: "size", type: "number", min: 4, placeholder: "own"});
    this.sent = el("progress", {max: 1, hidden: true, "aria-label": "Upload"});
    const file = el("input", {type: "file", accept: ".zip", onchange: (event) => {
      const [chosen] = event.target.files;
      event.target.value = "";
      if (chosen) reporting(() => this.upload(chosen));
    }});
    this.node = el("form", {class: "section training-form", autocomplete: "off", onsubmit: (event) => {
      event.preventDefault();
      reporting(async () => {
        await this.start();
        await started();
      });
    }},
    el("h2", {}, "Train a run"),
    el("div", {class: "row"}, field("Images", this.source), field("Name", this.name),
      field("Time or images", this.budget), field("Size", this.size)),
    el("div", {class: "line"}, el("button", {class: "primary"}, "Train"),
      el("label", {class: "button file"}, "Upload a .zip", file), this.removal,
      this.sent));
  }

  offer(sources, uploads, chosen = this.source.value) {
    this.source.replaceChildren(...sources.map((name) => el("option", {value: name}, name)));
    if (sources.includes(chosen)) this.source.value = chosen;
    this.uploads = uploads;
    this.chosen();
  }

  chosen() {
    this.removal.hidden = !this.uploads.includes(this.source.value);
  }

  get sources() {
    return [...this.source.options].map((option) => option.value);
  }

  async upload(file) {
    this.sent.hidden = false;
    try {
      const {source} = await upload(`api/uploads?name=${segment(file.name)}`, file, (share) => {
        this.sent.value = share;
      });
      this.offer([...this.sources, source], [...this.uploads, source], source);
      say(`${source} is uploaded.`);
    } finally {
      this.sent.hidden = true;
    }
  }

  async remove() {
    const gone = this.source.value;
    await remove(`api/uploads/${segment(gone)}`);
    this.offer(this.sources.filter((name) => name !== gone), this.uploads.filter((name) => name !== gone));
    say(`${gone} is removed.`);
  }

  async start() {
    await post("api/trainings", {
      name: this.name.value.trim(),
      data: this.source.value,
      budget: this.budget.value.trim() || null,
      size: this.size.value ? Number(this.size.value) : null,
    });
    say("The training starts.");
  }
}

// The buttons of a training.
export function controls(training, changed) {
  const path = `api/trainings/${segment(training.name)}`;
  const act = (label, verb) => el("button", {type: "button", onclick: () => reporting(async () => {
    await post(`${path}/${verb}`);
    changed();
  })}, label);
  return el("div", {class: "buttons"}, training.state === "running" ? act("Stop", "stop") : act("Resume", "resume"));
}
