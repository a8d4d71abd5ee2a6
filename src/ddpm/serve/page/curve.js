// A loss curve as a small drawing.
import {svg} from "./dom.js";

const [WIDTH, HEIGHT, EDGE] = [280, 84, 4];

// points: [images, loss], by images; the loss on a logarithmic axis, on which the end of training is not flat.
export function curve(points) {
  const known = points.filter(([, loss]) => Number.isFinite(loss) && loss > 0);
  if (known.length < 2) return null;
  const losses = known.map(([, loss]) => loss);
  const [low, high] = [Math.log(Math.min(...losses)), Math.log(Math.max(...losses))];
  const [first, last] = [known[0][0], known.at(-1)[0]];
  const x = (images) => EDGE + (WIDTH - 2 * EDGE) * (images - first) / Math.max(1, last - first);
  const y = (loss) => EDGE + (HEIGHT - 2 * EDGE) * (high - Math.log(loss)) / Math.max(1e-9, high - low);
  const line = known.map(([images, loss]) => `${x(images).toFixed(1)},${y(loss).toFixed(1)}`).join(" ");
  const text = `Loss from ${losses[0].toPrecision(3)} to ${losses.at(-1).toPrecision(3)}`;
  return svg("svg", {viewBox: `0 0 ${WIDTH} ${HEIGHT}`, class: "curve", role: "img", "aria-label": text},
    svg("title", {}, text), svg("polyline", {points: line}),
    svg("text", {x: WIDTH - EDGE, y: 14, "text-anchor": "end"}, losses.at(-1).toPrecision(3)));
}
