// The start of the page: its parts, and what connects them.
import {get, pictureURL} from "./api.js";
import {Card} from "./card.js";
import {Comparison} from "./compare.js";
import {$, $$, el} from "./dom.js";
import {takePictures} from "./drop.js";
import {Form, taskOf} from "./form.js";
import {Gallery} from "./gallery.js";
import {submit} from "./jobs.js";
import {reporting, say, silence} from "./notice.js";
import {RunList} from "./runs.js";
import "./theme.js";
import {Tools} from "./tools.js";
import {Viewer} from "./viewer.js";

const TABS = ["generate", "edit", "compare", "runs"];
const GOING = ["queued", "running"];
const form = new Form($("#form"));
const tools = new Tools(form);
const viewer = new Viewer({
  use: (record) => reporting(() => use(record)),
  edit,
  removed: (name) => gallery.forget(name),
});
const look = (names, at) => viewer.open(names, at);
const gallery = new Gallery((names, at) => {
  if (form.tab === "edit" && tools.wanting) takeUp(names[at]);
  else look(names, at);
});
const comparison = new Comparison(form, look);
const runs = new RunList(async (name) => {
  await to("generate");
  await form.run.choose(name);
});

function to(tab) {
  history.pushState(null, "", `#${tab}`);
  return show(tab);
}

async function show(tab) {
  form.tab = tab;
  for (const node of $$("main > [data-tabs], #results > [data-tabs]")) {
    node.hidden = !node.dataset.tabs.split(" ").includes(tab);
  }
  for (const link of $$("nav a")) {
    if (link.hash === `#${tab}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  $("#form").scrollTop = 0;
  runs.shown(tab === "runs");
  if (tab === "runs") return;
  await reporting(() => form.run.load());
  await form.toTask(form.task);
}

async function use(record) {
  const task = taskOf(record);
  if (form.tab !== "edit") await to(task === "sample" ? "generate" : "edit");
  if (task !== "sample") await form.toTask(task);
  await form.fill(record);
}

async function edit(tool, name) {
  await to("edit");
  await form.toTask(tool);
  await takeUp(name);
}

function takeUp(name) {
  return reporting(async () => {
    const [record] = await Promise.all([get(`${pictureURL(name)}/record`), tools.takeNamed(name)]);
    await form.adopt(record);
  });
}

const shown = () => show(location.hash.slice(1) || TABS[0]);

const full = () => say("Too many jobs wait; this one is queued as soon as there is room.");

async function order() {
  silence();
  const button = $("#submit");
  if (form.tab === "compare") return comparison.start();
  button.disabled = true;
  try {
    const asks = form.asks().map((ask) => tools.given(ask));
    for (const old of $$(".card", $("#stage"))) if (!GOING.includes(old.dataset.state)) old.remove();
    for (const ask of asks) watch(await submit(ask, undefined, full));
    if (matchMedia("(max-width: 760px)").matches) $("#stage").scrollIntoView({behavior: "smooth"});
  } finally {
    button.disabled = false;
  }
  return undefined;
}

async function watch(job) {
  const card = new Card(job, look);
  $("#stage").prepend(card.node);
  await card.watch();
  await gallery.refresh();
}

form.node.addEventListener("submit", (event) => {
  event.preventDefault();
  reporting(order);
});
addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && form.tab !== "runs" && !$("#viewer").open) {
    event.preventDefault();
    form.node.requestSubmit();
  }
  if (event.key === "Escape") silence();
});
addEventListener("hashchange", () => TABS.includes(location.hash.slice(1)) && shown());
takePictures({fill: use, take: (url) => tools.take(url), editing: () => form.tab === "edit"});

await reporting(async () => {
  const [choices] = await Promise.all([get("api/choices"), form.run.load()]); // the runs decide which tab is first
  const option = (value, text = value) => el("option", {value}, text);
  form.fields.solver.replaceChildren(option("", "default"), ...choices.solvers.map((name) => option(name)));
  $("#grids").replaceChildren(...choices.grids.map((name) => option(name)));
  $("#settings").replaceChildren(...Object.entries(choices.settings).map(([name, help]) => option(`${name}=`, help)));
  form.fields.other.addEventListener("input", () => {
    const last = form.fields.other.value.split(/\s+/).pop().split("=")[0];
    $("#about-setting").textContent = choices.settings[last] ?? "";
  });
  form.restore();
  comparison.offer(choices);
  if (!TABS.includes(location.hash.slice(1))) {
    history.replaceState(null, "", `#${form.run.runs.length ? "generate" : "runs"}`);
  }
  await shown();
  await gallery.refresh();
  const going = (await get("api/jobs")).filter((job) => GOING.includes(job.state));
  going.reverse().forEach(watch);
  document.documentElement.dataset.ready = "";
});
