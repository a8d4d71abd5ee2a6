// Sampling settings by flag, from the form and back into it. An empty field means the run's own setting.

const NUMBERS = ["steps", "guidance"];
const TEXTS = ["solver", "grid", "negative", "negative_prompt"];
const GUIDANCE = /^(guidance|negative)/;
const INDEPENDENT = /^(clip|threshold|size|whole|classifier)/;

const usable = (field) => !field.disabled && !field.closest("[hidden]");

export function read(form) {
  const settings = {};
  for (const name of [...NUMBERS, ...TEXTS]) {
    const field = form.elements[name];
    const value = field.value.trim();
    if (value && usable(field)) settings[name] = NUMBERS.includes(name) ? Number(value) : value;
  }
  const {width, height, other} = form.elements;
  if (usable(width) && (width.value || height.value)) {
    settings.size = [Number(height.value || width.value), Number(width.value || height.value)];
  }
  return usable(other) ? {...settings, ...parse(other.value)} : settings;
}

// Settings that reproduce the given ones on a run with its own settings.
// The server replaces those of guidance as a whole, and solver, steps and grid as a whole.
export function different(given, own) {
  const kind = (name) => (GUIDANCE.test(name) ? "guidance" : INDEPENDENT.test(name) ? name : "solver");
  const differs = (name) => JSON.stringify(given[name]) !== JSON.stringify(own[name]);
  const kinds = new Set([...Object.keys(given), ...Object.keys(own)].filter(differs).map(kind));
  return Object.fromEntries(Object.entries(given).filter(([name]) => kinds.has(kind(name))));
}

export function fill(form, settings) {
  const {size, ...rest} = settings;
  for (const name of [...NUMBERS, ...TEXTS]) {
    form.elements[name].value = rest[name] ?? "";
    delete rest[name];
  }
  form.elements.height.value = size?.[0] ?? "";
  form.elements.width.value = size?.[1] ?? "";
  form.elements.other.value = Object.entries(rest).map(([name, value]) => `${name}=${said(value)}`).join(" ");
  form.querySelector("details").open ||= Boolean(size || Object.keys(rest).length || settings.negative);
}

const said = (value) => (Array.isArray(value) ? value.join(",") : String(value));

// "eta=0.5 guidance_interval=0.2,5" as an object.
function parse(text) {
  const found = {};
  for (const word of text.split(/\s+/).filter(Boolean)) {
    const [name, ...rest] = word.split("=");
    const parts = rest.join("=").split(",").map(scalar);
    found[name] = parts.length === 1 ? parts[0] : parts;
  }
  return found;
}

function scalar(text) {
  if (text === "true" || text === "false") return text === "true";
  return text !== "" && Number.isFinite(Number(text)) ? Number(text) : text;
}
