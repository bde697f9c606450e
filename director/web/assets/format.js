// Numbers and times as text.

let offset = 0;

// setClock says what time it is for the node, so that a browser whose clock is wrong
// shows the right durations.
export function setClock(text) {
  const at = Date.parse(text);
  if (Number.isFinite(at)) offset = at - Date.now();
}

export const now = () => Date.now() + offset;

// time is a moment's number of milliseconds; NaN for none, also for Go's zero time.
export function time(text) {
  if (!text || text.startsWith("0001-")) return NaN;
  return Date.parse(text);
}

// span is a duration of milliseconds in its two largest units.
export function span(ms) {
  if (!Number.isFinite(ms)) return "";
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const [d, hr, m, sec] = [Math.floor(seconds / 86400), Math.floor(seconds / 3600) % 24, Math.floor(seconds / 60) % 60, seconds % 60];
  if (d > 0) return `${d}d${hr}h`;
  if (hr > 0) return `${hr}h${m}m`;
  if (m > 0) return `${m}m${sec}s`;
  return `${sec}s`;
}

// since is how long ago the moment was.
export const since = (text) => span(now() - time(text));

// clock is the time of day, with the date if it is not today.
export function clock(text) {
  const at = time(text);
  if (!Number.isFinite(at)) return "never";
  const date = new Date(at);
  const two = (n) => String(n).padStart(2, "0");
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} `;
  const hours = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return new Date(now()).toDateString() === date.toDateString() ? hours : day + hours;
}

// nanos is one of Go's durations.
export function nanos(ns) {
  if (!ns) return "0s";
  const ms = ns / 1e6;
  if (ms < 1) return `${Math.round(ns / 1e3)}µs`;
  if (ms < 10) return `${ms.toFixed(1)}ms`;
  if (ms < 1000) return `${Math.round(ms)}ms`;
  if (ms < 60000) return `${+(ms / 1000).toFixed(1)}s`;
  return span(ms);
}

const units = ["", "k", "M", "G", "T", "P"];

// amount is a number in at most four digits, as "12.3k".
export function amount(n) {
  if (n === undefined || n === null) return "–";
  let unit = 0;
  while (n >= 1000 && unit < units.length - 1 && (unit > 0 || n >= 10000)) {
    n /= 1000;
    unit++;
  }
  const digits = unit > 0 && n < 100 ? 1 : 0;
  return n.toFixed(digits) + units[unit];
}

// weight is a weight in the kernel's table.
export const weight = (n) => (n === undefined || n === null || n < 0 ? "–" : String(n));

// plural is a number with its noun.
export const plural = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;
