// A table of pictures by two settings: a job for each cell.
import {pictureURL} from "./api.js";
import {Axis} from "./axis.js";
import {$, el, picture} from "./dom.js";
import {cancel, follow, submit} from "./jobs.js";
import {reporting, say} from "./notice.js";

const MOST = 144; // cells

export class Comparison {
  constructor(form, open) {
    this.form = form;
    this.open = open;
    this.node = $("#comparison");
    this.node.append(el("p", {class: "hint"}, "Choose what varies across and down; all else is as in the form, ",
      "and each cell shows one picture of the same seed."));
  }

  offer({solvers, grids}) {
    const labels = () => this.form.run.summary?.classes ?? [];
    const choices = {solvers: () => solvers, grids: () => grids, labels};
    this.axes = [new Axis("Across", choices, "steps", false), new Axis("Down", choices, "solver", true)];
    $("#axes").append(...this.axes.map((axis) => axis.node));
    this.form.fields.run.addEventListener("change", () => {
      for (const axis of this.axes) if (axis.kind === "label") axis.show();
    });
  }

  async start() {
    const [across, down] = this.axes;
    if (across.kind === down.kind) throw new Error("Choose two different settings to compare.");
    const [columns, rows] = [across.values(), down.values()];
    const size = columns.length * rows.length;
    if (size > MOST) throw new Error(`These are ${size} cells; use at most ${MOST}.`);
    const [subject] = this.form.subjects();
    const base = {...this.form.base(), ...subject, n: 1};
    this.stop?.();
    const stopping = new AbortController();
    const ids = [];
    this.stop = () => {
      stopping.abort();
      for (const id of ids) reporting(() => cancel(id));
    };
    const cells = rows.map((row) => columns.map((column) => ({node: el("td"), ask: row.apply(column.apply(base))})));
    const all = cells.flat();
    this.total = all.length;
    this.ended = 0;
    this.show(columns, rows, cells, base);
    await Promise.all(all.map(async (cell, i) => {
      await new Promise((resolve) => setTimeout(resolve, 5 * i)); // in their order
      await this.draw(cell, ids, stopping.signal);
      this.ended += 1;
      this.progress();
    }));
  }

  show(columns, rows, cells, base) {
    this.status = el("span", {class: "status"});
    this.halt = el("button", {type: "button", onclick: () => this.stop()}, "Cancel");
    const [across, down] = this.axes.map((axis) => axis.kind);
    const head = columns.map(({name}) => el("th", {scope: "col"}, name));
    const table = el("table", {class: "grid"},
      el("thead", {}, el("tr", {}, el("th", {}, down ? `${down} ↓ ${across} →` : across), head)),
      el("tbody", {}, rows.map(({name}, i) =>
        el("tr", {}, el("th", {scope: "row"}, name), cells[i].map((cell) => cell.node)))));
    table.style.setProperty("--columns", columns.length);
    const varied = [across, down];
    const same = [["run", base.run], ["label", base.label], ["prompt", base.prompt], ["seed", `seed ${base.seed}`]]
      .filter(([name, value]) => !varied.includes(name) && value !== null).map(([, value]) => value);
    this.node.replaceChildren(el("div", {class: "line"}, el("strong", {}, same.join(" · ")), this.status, this.halt),
      el("div", {class: "scroll"}, table));
    this.progress();
  }

  progress() {
    const going = this.ended < this.total;
    this.status.textContent = going ? `${this.ended} of ${this.total}` : "";
    this.halt.hidden = !going;
  }

  // Draw the picture of one cell.
  async draw(cell, ids, signal) {
    const fill = (...content) => cell.node.replaceChildren(...content);
    try {
      fill(el("span", {class: "hint"}, "…"));
      const job = await submit(cell.ask, signal);
      ids.push(job.id);
      const end = await follow(job.id, {preview: ({image}) => fill(picture(image, ""))});
      const name = end.pictures?.[0];
      if (!name) fill(el("span", {class: "hint"}, end.error ?? end.state));
      else {
        const names = () => [...this.node.querySelectorAll("[data-name]")].map((node) => node.dataset.name);
        fill(el("button", {type: "button", class: "frame", "data-name": name, "aria-label": "Open the picture",
          onclick: () => this.open(names(), names().indexOf(name))}, picture(pictureURL(name), "")));
      }
    } catch (error) {
      fill(el("span", {class: "hint"}, error.name === "AbortError" ? "cancelled" : error.message));
      if (error.name !== "AbortError") say(error.message, "error");
    }
  }
}
