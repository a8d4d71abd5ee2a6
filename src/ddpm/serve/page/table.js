// A table of pictures: a job for each cell.
import {pictureURL} from "./api.js";
import {$$, el, picture} from "./dom.js";
import {cancel, follow, submit} from "./jobs.js";
import {reporting, say} from "./notice.js";

export class Table {
  // across, down: {kind, values}, of which each value has a name and changes a request by apply(ask).
  constructor(across, down, base, open) {
    this.open = open;
    this.stopping = new AbortController();
    this.ids = [];
    this.ended = 0;
    const rows = down.values.map((row) => ({
      name: row.name,
      cells: across.values.map((column) => ({node: el("td"), ask: row.apply(column.apply(base))})),
    }));
    this.cells = rows.flatMap((row) => row.cells);
    this.status = el("span", {class: "status"});
    this.halt = el("button", {type: "button", onclick: () => this.stop()}, "Cancel");
    const corner = down.kind ? `${down.kind} ↓ ${across.kind} →` : across.kind;
    const head = across.values.map(({name}) => el("th", {scope: "col"}, name));
    const line = ({name, cells}) => el("tr", {}, el("th", {scope: "row"}, name), cells.map((cell) => cell.node));
    const table = el("table", {class: "grid"},
      el("thead", {}, el("tr", {}, el("th", {}, corner), head)), el("tbody", {}, rows.map(line)));
    table.style.setProperty("--columns", across.values.length);
    const fixed = Object.entries({run: base.run, label: base.label, prompt: base.prompt, seed: `seed ${base.seed}`})
      .filter(([name, value]) => name !== across.kind && name !== down.kind && value !== null);
    const title = fixed.map(([, value]) => value).join(" · ");
    this.node = el("div", {class: "comparison"},
      el("div", {class: "line"}, el("strong", {}, title), this.status, this.halt), el("div", {class: "scroll"}, table));
    this.progress();
  }

  // Draw all cells; they are ordered one after the other, as the server takes only so many.
  async run() {
    const going = [];
    for (const cell of this.cells) {
      this.fill(cell, el("span", {class: "hint"}, "…"));
      const job = await this.attempt(cell, () => submit(cell.ask, this.stopping.signal));
      if (job) {
        this.ids.push(job.id);
        going.push(this.attempt(cell, () => this.draw(cell, job)));
      }
    }
    await Promise.all(going);
  }

  stop() {
    this.stopping.abort();
    for (const id of this.ids) reporting(() => cancel(id));
  }

  async attempt(cell, work) {
    try {
      return await work();
    } catch (error) {
      const stopped = error.name === "AbortError";
      this.end(cell, el("span", {class: "hint"}, stopped ? "cancelled" : error.message));
      if (!stopped) say(error.message, "error");
      return null;
    }
  }

  async draw(cell, job) {
    const {pictures, error, state} = await follow(job.id, {preview: ({image}) => this.fill(cell, picture(image, ""))});
    const [name] = pictures ?? [];
    this.end(cell, name ? this.finished(name) : el("span", {class: "hint"}, error ?? state));
  }

  finished(name) {
    const look = () => {
      const names = $$("[data-name]", this.node).map((one) => one.dataset.name);
      this.open(names, names.indexOf(name));
    };
    const frame = {type: "button", class: "frame", "data-name": name, "aria-label": "Open the picture", onclick: look};
    return el("button", frame, picture(pictureURL(name), ""));
  }

  fill(cell, content) {
    cell.node.replaceChildren(content);
  }

  end(cell, content) {
    this.fill(cell, content);
    this.ended += 1;
    this.progress();
  }

  progress() {
    const going = this.ended < this.cells.length;
    this.status.textContent = going ? `${this.ended} of ${this.cells.length}` : "";
    this.halt.hidden = !going;
  }
}
