// A job on the page: its pictures while they form, its place, time left, and cancelling it.
import {pictureURL} from "./api.js";
import {duration, el, picture} from "./dom.js";
import {cancel, follow} from "./jobs.js";
import {reporting, say} from "./notice.js";

const BLANK = "data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=";

export class Card {
  // `open` is called with the finished pictures and the number of the one to look at.
  constructor(job, open) {
    this.job = job;
    this.names = [];
    this.bar = el("progress", {max: 1, value: 0, "aria-label": "Progress"});
    this.status = el("span", {class: "status"}, "queued");
    this.stop = el("button", {type: "button", onclick: () => reporting(() => cancel(job.id))}, "Cancel");
    this.frames = Array.from({length: job.order.n}, (_, k) => this.frame(k, open));
    this.node = el("article", {class: "card", "data-state": "queued"},
      el("div", {class: "line"}, el("strong", {}, about(job.order)), this.status, this.bar, this.stop),
      el("div", {class: job.order.n === 1 ? "frames one" : job.order.n <= 4 ? "frames few" : "frames"}, this.frames));
  }

  frame(k, open) {
    return el("button", {type: "button", class: "frame", disabled: true, "aria-label": `Picture ${k + 1}`,
      onclick: () => open(this.names.filter(Boolean), this.names.filter(Boolean).indexOf(this.names[k]))},
    picture(BLANK, ""));
  }

  set(k, src) {
    this.frames[k]?.firstChild.setAttribute("src", src);
  }

  finished(k, name) {
    this.names[k] = name;
    this.set(k, pictureURL(name));
    if (this.frames[k]) this.frames[k].disabled = false;
  }

  // Follow the job until it ends.
  async watch() {
    let began = null;
    const end = await follow(this.job.id, {
      queued: ({position, seconds}) => {
        const left = seconds ? `, about ${duration(seconds)}` : "";
        this.status.textContent = position ? `place ${position} in the queue${left}` : "starting";
      },
      progress: ({done}) => {
        began ??= {time: performance.now(), done};
        const left = (performance.now() - began.time) / 1000 * (1 - done) / (done - began.done);
        this.bar.value = done;
        this.status.textContent = `${Math.round(100 * done)} %${left > 1 ? `, ${duration(left)} left` : ""}`;
        this.node.dataset.state = "running";
      },
      preview: ({index, image}) => this.set(index, image),
      picture: ({index, name}) => this.finished(index, name),
    }).catch((error) => ({state: "failed", error: error.message}));
    for (const name of end.pictures ?? []) this.finished(Number(name.slice(-7, -4)), name);
    this.node.dataset.state = end.state;
    this.bar.remove();
    this.stop.remove();
    this.status.textContent = end.state === "failed" ? end.error : end.state === "cancelled" ? "cancelled" : "";
    if (end.state === "failed") say(end.error, "error");
  }
}

export function about(order) {
  const said = (value) => (Array.isArray(value) ? [...new Set(value)].join(", ") : value);
  const parts = [order.run];
  if (order.task !== "sample") parts.push(order.task === "edit" ? "image to image" : order.task);
  for (const value of [said(order.label), said(order.prompt)]) if (value) parts.push(String(value).slice(0, 80));
  if (order.task !== "interpolate") parts.push(`seed ${order.seed}`);
  return parts.join(" · ");
}
