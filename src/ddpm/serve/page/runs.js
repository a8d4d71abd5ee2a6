// The runs: what they are, how they were trained, how good they are; and trainings that go on.
import {get, segment} from "./api.js";
import {curve} from "./curve.js";
import {$, duration, el, picture} from "./dom.js";
import {reporting} from "./notice.js";
import {about} from "./run.js";
import {TrainingForm, controls} from "./training.js";

const PAUSE = 2000; // milliseconds

export class RunList {
  // `changed` is called when a training has ended, and there may be another run.
  constructor(changed) {
    this.node = $("#runs");
    this.changed = changed;
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
    this.form?.offer(allowed.sources);
    this.node.replaceChildren(
      ...(allowed ? [this.form.node, this.trainings] : []), el("h2", {}, "Runs"), this.tiles,
      ...(allowed ? [] : [el("p", {class: "hint"}, "Start the server with --data FOLDER to train from this page.")]));
    await this.list();
    if (allowed) await this.watch();
  }

  async list() {
    const runs = await get("api/runs");
    this.tiles.replaceChildren(...(runs.length ? runs.map((run) => this.tile(run)) : [el("p", {class: "hint"}, "No runs yet.")]));
  }

  tile(run) {
    const open = () => this.choose(run.name);
    const node = el("article", {class: "tile"}, el("h3", {}, run.name));
    if (run.error) {
      node.append(el("p", {class: "hint"}, run.error));
      return node;
    }
    const facts = [["Images", about(run)], ["Trained on", `${run.images.toLocaleString("en")} images`]];
    if (run.trained) facts.push(["Seen", `${run.trained.toLocaleString("en")} images${run.training ? ", still training" : ""}`]);
    if (run.score) facts.push(["Fréchet distance", `${run.score.frechet.toPrecision(3)} (${run.score.features}, n = ${run.score.n})`]);
    const body = el("div", {class: "body"}, details(facts));
    const links = el("div", {class: "buttons"}, el("button", {type: "button", onclick: open}, "Generate"));
    if (run.report) links.append(el("a", {class: "button", href: `api/runs/${segment(run.name)}/report`, target: "_blank", rel: "noopener"}, "Report"));
    node.append(body, links);
    reporting(async () => history(body, run.name, await get(`api/runs/${segment(run.name)}/progress`)));
    return node;
  }

  choose(name) {
    location.hash = "generate";
    setTimeout(() => {
      const select = $("[name=run]");
      select.value = name;
      select.dispatchEvent(new Event("change", {bubbles: true}));
    });
  }

  // Show the trainings, again and again while one is running.
  async watch() {
    clearTimeout(this.timer);
    const {trainings} = await get("api/trainings");
    const running = trainings.some((one) => one.state === "running");
    if (this.running && !running) {
      await this.changed();
      await this.list();
    }
    this.running = running;
    this.trainings.replaceChildren(...trainings.filter((one) => one.state === "running" || !one.finished).map((one) => this.training(one)));
    if (running && this.on) this.timer = setTimeout(() => reporting(() => this.watch()), PAUSE);
  }

  training(one) {
    const facts = [["Images", `${one.images.toLocaleString("en")}${one.of ? ` of ${one.of.toLocaleString("en")}` : ""}`]];
    const running = one.state === "running";
    if (running && one.images_per_s) facts.push(["Speed", `${Math.round(one.images_per_s).toLocaleString("en")} images/s`]);
    if (running && one.seconds) facts.push(["Left", duration(one.seconds)]);
    if (one.score) facts.push(["Fréchet distance", one.score.frechet.toPrecision(3)]);
    const body = el("div", {class: "body"}, details(facts));
    history(body, one.name, one);
    const done = one.of ? one.images / one.of : null;
    const bar = el("progress", {max: 1, "aria-label": "Progress", value: done});
    const said = one.said.length && (!running || !one.images) ? el("pre", {}, one.said.slice(-3).join("\n")) : null;
    return el("article", {class: "tile training", "data-state": one.state},
      el("div", {class: "line"}, el("h3", {}, one.name), el("span", {class: "status"}, one.state), bar),
      body, said, controls(one, () => reporting(() => this.watch())));
  }
}

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
