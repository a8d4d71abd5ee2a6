// One line for errors and news.
import {$} from "./dom.js";

let timer = 0;

export function say(text, kind = "news") {
  const line = $("#notice");
  line.textContent = text;
  line.className = kind;
  line.hidden = false;
  clearTimeout(timer);
  if (kind === "news") timer = setTimeout(silence, 6000);
}

export function silence() {
  $("#notice").hidden = true;
}

// Run a function whose errors become one line.
export async function reporting(work) {
  try {
    return await work();
  } catch (error) {
    if (error.name !== "AbortError") say(error.message, "error");
    return undefined;
  }
}
