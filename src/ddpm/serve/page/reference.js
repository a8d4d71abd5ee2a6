// The routes of the server, read from its OpenAPI description.
import {get} from "./api.js";
import {$, el} from "./dom.js";
import {reporting} from "./notice.js";
import "./theme.js";

const origin = location.origin;

await reporting(async () => {
  const [description, runs] = await Promise.all([get("openapi.json"), get("api/runs")]);
  const run = runs[0] ?? {name: "RUN", classes: []};
  const ask = {run: run.name, n: 4, seed: 7, ...(run.classes?.length ? {label: run.classes[0]} : {})};
  $("#base").textContent = `${origin}/v1`;
  const authorised = (path) => `curl -N ${origin}/${path} -H "Authorization: Bearer $TOKEN"`;
  const quoted = `'${JSON.stringify(ask).replaceAll("'", "'\\''")}'`;
  $("#curl").textContent = `${authorised("api/jobs")} \\\n  -d ${quoted}\n${authorised("api/jobs/ID/events")}`;
  const routes = Object.entries(description.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, route]) => ({path, method: method.toUpperCase(), ...route})));
  const groups = [["Jobs, pictures and runs", "/api"], ["OpenAI's endpoints", "/v1"], ["Operation", "/"]];
  for (const [title, prefix] of groups) {
    const mine = routes.filter((route) => route.path.startsWith(prefix) && !route.taken);
    for (const route of mine) route.taken = true;
    $("#routes").append(el("h2", {}, title), ...mine.map((route) => entry(route, description)));
  }
  document.documentElement.dataset.ready = "";
});

function entry({method, path, description: said, parameters = [], requestBody}, whole) {
  const fields = [
    ...parameters.map((one) => [one.name, one.in, kind(one.schema, whole), one.required]),
    ...body(requestBody, whole),
  ];
  const cell = (content) => el("td", {}, content);
  const row = ([name, place, type, required]) =>
    el("tr", {}, [el("code", {}, name), place, type, required ? "required" : ""].map(cell));
  const about = said?.split("\n")[0].replaceAll("`", "") ?? "";
  const head = [el("code", {class: `method ${method}`}, method), el("code", {}, path), el("span", {}, about)];
  if (fields.length === 0) return el("div", {class: "route"}, el("div", {class: "head"}, head));
  return el("details", {class: "route"}, el("summary", {}, head),
    el("div", {class: "scroll"}, el("table", {class: "plain"}, el("tbody", {}, fields.map(row)))));
}

function resolved(schema, whole) {
  const name = schema?.$ref?.split("/").pop();
  return name ? whole.components.schemas[name] : schema ?? {};
}

function body(request, whole) {
  const [content] = Object.values(request?.content ?? {});
  const {properties = {}, required = []} = resolved(content?.schema, whole);
  return Object.entries(properties)
    .map(([name, schema]) => [name, "body", kind(schema, whole), required.includes(name)]);
}

function kind(schema, whole) {
  if (schema.anyOf) return schema.anyOf.map((one) => kind(one, whole)).filter((one) => one !== "null").join(" or ");
  if (schema.enum) return schema.enum.join(", ");
  const found = resolved(schema, whole);
  if (found.type === "array") return `list of ${kind(found.items ?? {}, whole)}`;
  const bounds = [["minimum", "from"], ["maximum", "to"]].filter(([name]) => name in found)
    .map(([name, word]) => `${word} ${found[name]}`);
  return [found.type ?? "any", ...bounds].join(" ");
}
