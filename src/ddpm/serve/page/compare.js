// Comparing two settings: what varies, and the table of it.
import {Axis} from "./axis.js";
import {$, el} from "./dom.js";
import {Table} from "./table.js";

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
    this.form.node.addEventListener("run", () => {
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
    this.table?.stop();
    this.table = new Table({kind: across.kind, values: columns}, {kind: down.kind, values: rows}, base, this.open);
    this.node.replaceChildren(this.table.node);
    await this.table.run();
  }
}
