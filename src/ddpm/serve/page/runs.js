// The runs: what they are, how they were trained, how good they are; and trainings that go on.
import {get, segment} from "./api.js";
import {curve} from "./curve.js";
import {$, duration, el, picture, plural} from "./dom.js";
import {reporting} from "./notice.js";
import {about} from "./run.js";
import {TrainingForm, controls} from "./training.js";

const PAUSE = 2000; // milliseconds

export class RunList {
  // `generate` is called with the name of a run to generate with.
  constructor(generate) {
    this.node = $("#runs");
    this.generate = generate;
    this.trainings = el("div", {class: "tiles"});
    this.tiles = el("div", {class: "tiles"});
  }

  // Read everything when the tab is shown; watch trainings while it is.
  async shown(on) {
    clearTimeout(this.timer);
    this.on = on;
    if (on) await reporting(() => this.load());
  }

  async load() {
    const allowed = await get("api/trainings").catch(() => null);
    if (!this.form && allowed) this.form = new TrainingForm(() => this.watch());
    this.form?.offer(allowed.sources, allowed.uploads);
    this.node.replaceChildren(
      ...(allowed ? [this.form.node, this.trainings] : []), el("h2", {}, "Runs"), this.tiles,
      ...(allowed ? [] : [el("p", {class: "hint"}, "Start the server with --data FOLDER to train from this page.")]));
    await this.list();
    if (allowed) await this.watch();
  }

  async list() {
    const runs = await get("api/runs");
    const none = el("p", {class: "hint"}, "No runs yet.");
    this.tiles.replaceChildren(...(runs.length ? runs.map((run) => this.tile(run)) : [none]));
  }

  tile(run) {
    const open = () => reporting(() => this.generate(run.name));
    const node = el("article", {class: "tile"}, el("h3", {}, run.name));
    if (run.error) {
      node.append(el("p", {class: "hint"}, run.error));
      return node;
    }
    const facts = [["Images", about(run)], ["Trained on", count(run.images)]];
    if (run.trained) facts.push(["Seen", `${count(run.trained)}${run.training ? ", still training" : ""}`]);
    if (run.score) {
      const {frechet, features, n} = run.score;
      facts.push(["Fréchet distance", `${frechet.toPrecision(3)} (${features}, n = ${n})`]);
    }
    const body = el("div", {class: "body"}, details(facts));
    const links = el("div", {class: "buttons"}, el("button", {type: "button", onclick: open}, "Generate"));
    const report = `api/runs/${segment(run.name)}/report`;
    if (run.report) links.append(el("a", {class: "button", href: report, target: "_blank", rel: "noopener"}, "Report"));
    node.append(body, links);
    reporting(async () => history(body, run.name, await get(`api/runs/${segment(run.name)}/progress`)));
    return node;
  }

  // Show the trainings, again and again while one is running.
  async watch() {
    clearTimeout(this.timer);
    const {trainings} = await get("api/trainings");
    const running = trainings.some((one) => one.state === "running");
    if (this.running && !running) await this.list();
    this.running = running;
    const shown = trainings.filter((one) => one.state === "running" || !one.finished);
    const focused = document.activeElement?.closest(".training")?.dataset.name;
    this.trainings.replaceChildren(...shown.map((one) => this.training(one)));
    if (focused) $(`[data-name="${CSS.escape(focused)}"] button`, this.trainings)?.focus();
    if (running && this.on) this.timer = setTimeout(() => reporting(() => this.watch()), PAUSE);
  }

  training(one) {
    const facts = [["Images", one.of ? `${one.images.toLocaleString("en")} of ${count(one.of)}` : count(one.images)]];
    const running = one.state === "running";
    if (running && one.images_per_s) facts.push(["Speed", `${count(Math.round(one.images_per_s))}/s`]);
    if (running && one.seconds) facts.push(["Left", duration(one.seconds)]);
    if (one.score) facts.push(["Fréchet distance", one.score.frechet.toPrecision(3)]);
    const body = el("div", {class: "body"}, details(facts));
    history(body, one.name, one);
    const done = one.of ? one.images / one.of : null;
    const bar = el("progress", {max: 1, "aria-label": "Progress", value: done});
    const said = one.said.length && (!running || !one.images) ? el("pre", {}, one.said.slice(-3).join("\n")) : null;
    return el("article", {class: "tile training", "data-name": one.name, "data-state": one.state},
      el("div", {class: "line"}, el("h3", {}, one.name), el("span", {class: "status"}, one.state), bar),
      body, said, controls(one, () => reporting(() => this.watch())));
  }
}

const count = (images) => plural(images, "image");

function details(facts) {
  return el("dl", {class: "facts"}, facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}

// The loss and the newest preview.
function history(body, name, progress) {
  const drawn = curve(progress.loss);
  const view = el("div", {class: "history"}, ...(drawn ? [drawn] : []));
  if (progress.preview) {
    const url = `api/runs/${segment(name)}/previews/${segment(progress.preview)}`;
    view.append(el("a", {href: url, target: "_blank", rel: "noopener"}, picture(url, `The newest preview of ${name}`)));
  }
  body.append(view);
}
