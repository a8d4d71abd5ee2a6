// Light or dark: as the system says, or as chosen with the button.
import {$} from "./dom.js";
import {keep, recall} from "./state.js";

const dark = matchMedia("(prefers-color-scheme: dark)");

function set(theme) {
  document.documentElement.style.colorScheme = theme ?? "light dark";
}

set(recall("theme", null));
$("#theme").addEventListener("click", () => {
  const now = recall("theme", null) ?? (dark.matches ? "dark" : "light");
  const next = now === "dark" ? "light" : "dark";
  keep("theme", next === (dark.matches ? "dark" : "light") ? null : next);
  set(recall("theme", null));
});
