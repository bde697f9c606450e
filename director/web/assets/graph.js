// Small graphs.

import { s, mark } from "./dom.js";

const width = 90, height = 18;

// sparkline draws the last values of a number.
export function sparkline() {
  const line = s("polyline", { class: "line" });
  const area = s("polygon", { class: "area" });
  const svg = s("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" }, area, line);
  return { element: svg, draw: (series) => draw(line, area, series) };
}

function draw(line, area, series) {
  const values = series?.values ?? [];
  const top = Math.max(1, ...values);
  const step = width / 149;
  const first = width - (values.length - 1) * step;
  const points = values.map((v, i) => `${(first + i * step).toFixed(1)},${(height - 1 - (v / top) * (height - 3)).toFixed(1)}`).join(" ");
  mark(line, "points", points);
  mark(area, "points", values.length > 1 ? `${first.toFixed(1)},${height} ${points} ${width},${height}` : "");
}

// bars draws how long the probes of a history took; those that failed are marked by
// their shape too: they hang from the top.
export function bars(history) {
  const top = Math.max(1, ...history.map((r) => r.duration_ns));
  const wide = 8;
  const drawn = history.map((r, i) => {
    const tall = Math.max(2, (r.duration_ns / top) * 30);
    const verdict = r.inconclusive ? "unsure" : r.ok ? "good" : "bad";
    return s("rect", { class: verdict, x: i * wide, y: r.ok ? 32 - tall : 0, width: wide - 2, height: tall });
  });
  return s("svg", { class: "bars", viewBox: `0 0 ${Math.max(history.length, 20) * wide} 32`, preserveAspectRatio: "xMinYMid", role: "img", "aria-label": "how long the last probes took" }, drawn);
}
