// What the page remembers between visits, in this browser only.

const KEY = "ddpm";

function all() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}

export const recall = (name, otherwise) => all()[name] ?? otherwise;

export function keep(name, value) {
  try {
    localStorage.setItem(KEY, JSON.stringify({...all(), [name]: value}));
  } catch {
    // without storage the page works, but forgets
  }
}
