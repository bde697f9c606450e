// The services with their servers: one table each, all with the same columns. Only
// those in sight are drawn, and of them only what changed.

import { $, arrange, h, mark, show, write } from "./dom.js";
import { amount, clock, nanos, plural, since, weight } from "./format.js";
import { sparkline } from "./graph.js";
import { isTrouble, model, stateOf, troubles } from "./model.js";

// columns are a key, a label, a class, the group that heads them, and what they are
// called where rows are cards.
const columns = [
  ["name", "Name", "", ""], ["status", "Status", "", ""], ["check", "Last check", "", ""],
  ["configured", "Conf", "number", "Weight"], ["effective", "Eff", "number some", "Weight"], ["kernel", "Kernel", "number", "Weight", "Weight"],
  ["active", "Act", "number", "Connections"], ["inactive", "Inact", "number", "Connections"], ["total", "Total", "number some", "Connections"],
  ["rate", "Cur", "number", "Conn/s", "Conn/s"], ["max", "Max", "number some", "Conn/s"], ["graph", "5 min", "some", "Conn/s"],
  ["in", "In", "number", "Bytes/s", "In B/s"], ["out", "Out", "number", "Bytes/s", "Out B/s"],
];

// manyRows is from how many servers on services begin collapsed, unless something is
// the matter with them.
const manyRows = 60;

const views = new Map();
const chosen = new Map(); // what somebody opened or closed, by key
const waiting = new Set(); // keys to be drawn
const inSight = new Set();
let drawing = false;
let openPanel = () => {};

const observer = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) {
    const key = target.dataset.key;
    if (isIntersecting) {
      inSight.add(key);
      if (waiting.has(key)) soon();
    } else inSight.delete(key);
  }
}, { rootMargin: "300px 0px" });

// begin makes what is always there. open shows a server, or with an empty address a
// service, in full.
export function begin(open) {
  openPanel = open;
  $("columns").append(h("table", { class: "services head" }, group(), headings()));
  let pause;
  $("filter").addEventListener("input", () => {
    clearTimeout(pause);
    pause = setTimeout(drawList, 120);
  });
  $("problems").addEventListener("change", drawList);
  const all = (open) => () => {
    for (const key of model.order) chosen.set(key, open);
    drawServices(model.order);
  };
  $("expand").addEventListener("click", all(true));
  $("collapse").addEventListener("click", all(false));
}

const group = () => h("colgroup", {}, columns.map(([key, , kind]) => h("col", { class: `col-${key} ${kind.includes("some") ? "some" : ""}` })));

// headings are the two rows above the columns, as in HAProxy's page. Which columns
// are left out on a narrow screen is the style's business.
function headings() {
  const groups = [];
  for (const [, , kind, name] of columns) {
    const last = groups.at(-1);
    if (last && name && last.name === name) last.count++;
    else groups.push({ name, count: 1, kind });
  }
  return h("thead", {},
    h("tr", { class: "groups" }, groups.map((g) => h("th", { colspan: g.count, class: g.name ? "group" : null }, g.name))),
    h("tr", {}, columns.map(([key, label, kind]) => h("th", { class: `c-${key} ${kind}` }, label))));
}

// drawServices draws the services of the keys, when they come in sight, and the list.
export function drawServices(keys) {
  for (const key of keys) waiting.add(key);
  drawList();
  soon();
}

// drawTraffic draws what is in sight.
export function drawTraffic() {
  for (const key of model.order) waiting.add(key);
  soon();
}

function soon() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    for (const key of inSight) if (waiting.delete(key)) draw(key);
  });
}

// drawList shows the services that the filter lets through, in the file's order.
function drawList() {
  const words = $("filter").value.toLowerCase().split(/\s+/).filter(Boolean);
  const only = $("problems").checked;
  const shown = [];
  let servers = 0, up = 0, bad = 0;
  for (const key of model.order) {
    const known = model.services.get(key);
    if (!known?.service) continue;
    servers += known.addresses.length;
    const down = troubles(known);
    up += known.addresses.length - down;
    if (isTrouble(known)) bad++;
    else if (only) continue;
    if (words.length > 0 && !matches(known, words)) continue;
    shown.push(viewOf(key).element);
  }
  for (const [key, view] of views) {
    if (model.services.has(key)) continue;
    observer.unobserve(view.element);
    inSight.delete(key);
    views.delete(key);
  }
  arrange($("service-list"), shown);
  write($("summary"), `${plural(model.order.length, "service")}, ${up} of ${plural(servers, "server")} up${bad ? `, ${plural(bad, "service")} with problems` : ""}`);
  show($("no-services"), shown.length === 0);
  write($("no-services"), model.order.length === 0 ? "No service is configured." : "No service matches.");
  show($("columns"), shown.length > 0);
  document.title = `${bad ? `(${bad}) ` : ""}${model.node?.router_id ?? ""} · lvsd`;
}

function matches(known, words) {
  const { service } = known;
  const text = [service.name, service.service, service.scheduler, service.forwarding];
  for (const s of known.servers.values()) {
    text.push(s.address, s.host ?? "", stateOf(s), ...s.checks.map((c) => `${c.kind} ${c.code ?? ""} ${c.reason ?? ""}`));
  }
  const all = text.join(" ").toLowerCase();
  return words.every((word) => all.includes(word));
}

function isOpen(known) {
  const choice = chosen.get(known.key);
  if (choice !== undefined) return choice;
  return isTrouble(known) || model.order.length * Math.max(1, known.addresses.length) <= manyRows;
}

// viewOf is what is drawn of a service.
function viewOf(key) {
  let view = views.get(key);
  if (view) return view;
  const toggle = h("button", { type: "button", class: "toggle", onclick: () => {
    chosen.set(key, !isOpen(model.services.get(key)));
    draw(key);
  } });
  const total = row("total", "rowgroup");
  const address = h("small", {}), note = h("small", { class: "warn" });
  const name = h("button", { type: "button", class: "name", onclick: () => openPanel(key, "") });
  total.cells.name.append(toggle, name, address, note);
  const body = h("tbody", {}, total.element);
  const hidden = h("thead", { class: "unseen" }, h("tr", {}, columns.map(([, label, , group]) => h("th", { scope: "col" }, `${group} ${label}`.trim()))));
  const element = h("section", { class: "service", "data-key": key }, h("table", { class: "services" }, group(), hidden, body));
  view = { element, body, total, toggle, name, address, note, servers: new Map() };
  views.set(key, view);
  waiting.add(key);
  observer.observe(element);
  return view;
}

// row is a row with its cells by key.
function row(kind, scope) {
  const cells = {};
  const graph = sparkline();
  const chip = h("span", { class: "chip" }), age = h("small", { class: "age" });
  const code = h("b", { class: "code" }), detail = h("span", { class: "detail" });
  const element = h("tr", { class: kind }, columns.map(([key, label, style, , card]) => {
    const tag = key === "name" ? "th" : "td";
    cells[key] = h(tag, { class: `c-${key} ${style}`, scope: tag === "th" ? scope : null, "data-label": card ?? label });
    return cells[key];
  }));
  cells.status.append(chip, age);
  cells.check.append(code, detail);
  cells.graph.append(graph.element);
  return { element, cells, chip, age, code, detail, graph };
}

// draw draws a service that is in sight.
function draw(key) {
  const known = model.services.get(key), view = views.get(key);
  if (!known?.service || !view) return;
  const open = isOpen(known), { service } = known, traffic = model.traffic.get(key);
  drawTotal(view, known, traffic, open);
  const rows = [view.total.element];
  if (open) {
    for (const address of known.addresses) {
      const one = serverRow(view, key, address);
      drawServer(one, known.servers.get(address), traffic?.servers.get(address));
      rows.push(one.element);
    }
    if (service.sorry_server) {
      const one = serverRow(view, key, service.sorry_server);
      drawSorry(one, service, traffic?.servers.get(service.sorry_server));
      rows.push(one.element);
    }
  } else view.servers.clear();
  for (const address of view.servers.keys()) {
    if (!known.servers.has(address) && address !== service.sorry_server) view.servers.delete(address);
  }
  arrange(view.body, rows);
}

function drawTotal(view, known, traffic, open) {
  const { service } = known, { total } = view;
  const count = known.addresses.length, bad = troubles(known);
  mark(view.toggle, "aria-expanded", open ? "true" : "false");
  mark(view.toggle, "aria-label", `${open ? "Collapse" : "Expand"} ${service.name}`);
  write(view.name, service.name);
  write(view.address, service.service);
  write(view.note, service.override ? (service.override.state ?? "") : "");
  const state = !service.quorum.quorate || service.sorry_server_in_use ? "down" : bad > 0 ? "some" : "up";
  mark(total.element, "class", `total is-${state}`);
  mark(total.chip, "class", `chip ${state}`);
  write(total.chip, `${service.servers_up}/${count} UP`);
  write(total.age, service.sorry_server_in_use ? "sorry server" : service.quorum.quorate ? "" : "no quorum");
  write(total.detail, `${service.scheduler} · ${service.forwarding} · quorum needs ${service.quorum.needed}, has ${service.quorum.up}`);
  let active = 0, inactive = 0, sum = 0;
  for (const server of known.servers.values()) sum += Math.max(0, server.kernel_weight);
  for (const server of traffic?.servers.values() ?? []) {
    active += server.counters.active_connections;
    inactive += server.counters.inactive_connections;
  }
  write(total.cells.kernel, sum);
  write(total.cells.active, traffic ? amount(active) : "–");
  write(total.cells.inactive, traffic ? amount(inactive) : "–");
  drawCounters(total, traffic);
}

function serverRow(view, key, address) {
  let one = view.servers.get(address);
  if (one) return one;
  one = row("server", "row");
  one.name = h("button", { type: "button", class: "name", onclick: () => openPanel(key, address) }, address);
  one.host = h("small", {});
  one.element.dataset.server = address;
  one.cells.name.append(one.name, one.host);
  view.servers.set(address, one);
  return one;
}

// words are what the states are called in the page.
const words = { up: "UP", down: "DOWN", unknown: "UNKNOWN", drain: "DRAIN", draining: "DRAINING", disabled: "DISABLED" };

function drawServer(one, server, traffic) {
  const state = stateOf(server);
  mark(one.element, "class", `server is-${state}`);
  mark(one.chip, "class", `chip ${state}`);
  const ordered = state === "drain" || state === "disabled";
  // What is drained may be up or down all the same.
  write(one.chip, (words[state] ?? state.toUpperCase()) + (ordered && server.state !== "up" ? ` (${server.state})` : ""));
  write(one.age, ordered && server.override ? since(server.override.at) : since(server.since));
  mark(one.age, "title", clock(server.since));
  write(one.host, server.host ?? "");
  drawCheck(one, server, ordered);
  write(one.cells.configured, server.configured_weight);
  write(one.cells.effective, server.weight);
  write(one.cells.kernel, weight(server.kernel_weight));
  mark(one.cells.kernel, "data-differs", server.kernel_weight !== server.configured_weight && server.kernel_weight >= 0);
  write(one.cells.active, traffic ? amount(traffic.counters.active_connections) : "–");
  write(one.cells.inactive, traffic ? amount(traffic.counters.inactive_connections) : "–");
  drawCounters(one, traffic);
}

// drawCheck tells of the check that has most to say: the first that is not up.
function drawCheck(one, server, ordered) {
  const all = [...server.checks, ...(server.weight_checks ?? [])];
  const check = all.find((c) => c.state !== "up") ?? all.find((c) => c.warning) ?? all[0];
  const order = ordered && server.override ? `${server.override.reason || "no reason given"} · ${server.override.by || "unknown"}` : "";
  write(one.code, check?.code ?? (check ? check.state : ""));
  mark(one.code, "class", `code ${check?.state ?? ""}`);
  const detail = check ? [nanos(check.duration_ns), check.warning || check.reason, check.held && `held: ${check.held}`].filter(Boolean).join(" · ") : "no check";
  write(one.detail, order ? `${order}${check?.reason ? ` · ${check.reason}` : ""}` : detail);
  mark(one.cells.check, "title", check ? `${check.kind} ${check.target} at ${clock(check.at)}: ${check.reason ?? ""}` : null);
}

function drawSorry(one, service, traffic) {
  mark(one.element, "class", `server sorry ${service.sorry_server_in_use ? "is-some" : ""}`);
  mark(one.chip, "class", `chip ${service.sorry_server_in_use ? "some" : "standby"}`);
  write(one.chip, service.sorry_server_in_use ? "IN USE" : "STANDBY");
  write(one.host, "sorry server");
  write(one.cells.kernel, weight(traffic?.counters.weight));
  write(one.cells.active, traffic ? amount(traffic.counters.active_connections) : "–");
  write(one.cells.inactive, traffic ? amount(traffic.counters.inactive_connections) : "–");
  drawCounters(one, traffic);
}

function drawCounters(one, traffic) {
  const c = traffic?.counters;
  write(one.cells.total, amount(c?.connections));
  write(one.cells.rate, amount(c?.connection_rate));
  write(one.cells.max, c ? amount(traffic.rate.max) : "–");
  write(one.cells.in, amount(c?.in_byte_rate));
  write(one.cells.out, amount(c?.out_byte_rate));
  one.graph.draw(traffic?.rate);
}
