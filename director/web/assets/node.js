// The node, its VRRP instances and the other nodes.

import { $, h, replace, show, write } from "./dom.js";
import { clock, nanos, now, plural, since, span, time } from "./format.js";
import { model } from "./model.js";

let openInstance = () => {};

// begin tells what opens an instance.
export function begin(open) {
  openInstance = open;
}

// drawNode draws all but services and events.
export function drawNode() {
  const n = model.node;
  if (!n) return;
  $("node-name").textContent = n.router_id;
  drawFacts(n);
  const notices = noticesOf(n);
  replace($("notices").firstElementChild, notices, () => notices.map(([severity, what, text]) =>
    h("li", { class: severity }, h("span", { class: "word" }, severity), h("span", {}, h("b", {}, what), " ", text))));
  show($("notices"), notices.length > 0);
  drawInstances(n);
  drawNodes(n);
}

function drawFacts(n) {
  const facts = [];
  const add = (name, value, state, title) => facts.push({ name, value, state, title });
  add("Version", n.version || "unknown", "", `process ${n.pid}`);
  add("Uptime", since(n.started), "", `since ${clock(n.started)}`);
  add("Ready", n.ready ? "yes" : "not yet", n.ready ? "good" : "warn", n.ready ? "" : "some checks have not answered yet");
  add("Configuration", n.config_hash ? n.config_hash.slice(0, 8) : "–", "", `${n.config} ${n.config_hash ?? ""}`);
  add(Number.isFinite(time(n.reload.at)) ? `Loaded ${clock(n.reload.at)}` : "Loaded", n.reload.ok ? "ok" : "failed", n.reload.ok ? "good" : "bad", n.reload.error);
  const left = time(n.confirm_until) - now();
  if (left > 0) add("Rolls back in", span(left), "warn", "unless the reload is confirmed");
  if (n.maintenance) add("Maintenance", "on", "warn", n.maintenance.reason);
  replace($("facts"), facts, () => facts.map((f) =>
    h("div", { title: f.title || null }, h("dt", {}, f.name), h("dd", { class: f.state || null }, f.value))));
}

// noticesOf are what is the matter with the node: severity, subject and text.
function noticesOf(n) {
  const all = [];
  const add = (severity, what, text) => all.push([severity, what, text]);
  if (!n.reload.ok && n.reload.error) add("error", "Reload", n.reload.error);
  if (n.reconcile?.error) add("error", "Kernel", n.reconcile.error);
  if (model.trafficError) add("warning", "Counters", model.trafficError);
  if (n.override_trouble) add("error", "Orders", `not known what was ordered before the start; servers that had weight 0 are drained: ${n.override_trouble}`);
  if (n.maintenance) add("warning", "Maintenance", override(n.maintenance));
  for (const [name, d] of Object.entries(n.differences ?? {}).sort()) {
    add("warning", name, `sees ${plural(d.count, "server")} differently: ${opinion(d.servers[0])}${d.count > 1 ? ", and others below" : ""}`);
  }
  for (const c of n.check_notices ?? []) add("warning", `Checks ${c.kind}`, `${c.reason} (since ${clock(c.since)})`);
  for (const c of n.conflicts ?? []) {
    if (!c.ended) add("error", "Address conflict", `${c.mac} on ${c.interface} has ${c.vip} as well, last heard ${clock(c.last)}, ${plural(c.count, "time")}`);
  }
  for (const d of n.drift ?? []) add("warning", "Drift", `somebody else changed this: ${d.found}; to put it right: ${d.op}`);
  for (const s of n.sysctls ?? []) add("warning", "Kernel parameter", `${s.name} is ${s.have}, want ${s.want}: ${s.why}`);
  for (const i of n.instances ?? []) {
    for (const f of i.faults ?? []) add("error", i.name, f);
    for (const x of i.notices ?? []) add("warning", i.name, `${x.kind.replaceAll("_", " ")}, ${x.peer}: ${x.detail}`);
  }
  for (const x of n.hosts ?? []) if (x.error) add("warning", x.host, x.error);
  return all;
}

// override is an operator's order in words.
export function override(o) {
  const words = [o.state, o.weight === undefined ? "" : `weight ${o.weight}`].filter(Boolean).join(", ");
  const end = Number.isFinite(time(o.until)) ? `until ${clock(o.until)}` : "";
  return [words, o.reason ? `“${o.reason}”` : "", o.by ? `by ${o.by}` : "", `on ${o.node}`, `at ${clock(o.at)}`, end].filter(Boolean).join(" ");
}

const head = (...names) => h("thead", {}, h("tr", {}, names.map((name) => h("th", { scope: "col" }, name))));
const cell = (label, ...children) => h("td", { "data-label": label }, ...children);
export const chip = (state, text) => h("span", { class: `chip ${state}` }, text ?? state);

// instanceStates are colours: MASTER and BACKUP are both well.
export const instanceStates = { master: "up", backup: "standby", fault: "down", initialize: "unknown" };

function drawInstances(n) {
  // Adverts come all the time, and are no news.
  const data = (n.instances ?? []).map((i) => ({ ...i, adverts_sent: 0, adverts_received: 0, adverts_discarded: 0,
    peers: (i.peers ?? []).map((p) => ({ ...p, adverts: 0, last: 0, heard: heard(p) })) }));
  replace($("instances"), data, () => data.length === 0 ? h("p", { class: "dim" }, "No VRRP instance is configured.") :
    h("table", { class: "plain instances" }, h("caption", { class: "unseen" }, "VRRP instances of this node"),
      head("Instance", "State", "Since", "Reason", "Priority", "VIPs", "Peers"),
      h("tbody", {}, data.map(instanceRow))));
  for (const age of $("instances").querySelectorAll(".age")) write(age, since(age.dataset.since));
}

const heard = (p) => (now() - time(p.last) > 10000 ? `last heard ${clock(p.last)}` : "heard now");

function instanceRow(i) {
  const state = h("td", { "data-label": "State" }, chip(instanceStates[i.state] ?? "unknown", i.state.toUpperCase()),
    i.held && h("small", {}, " held"), i.yielded && h("small", {}, " yielded"), i.settling && h("small", {}, " settling"));
  return h("tr", { class: `instance ${i.state}`, "data-instance": i.name },
    h("th", { scope: "row" }, h("button", { type: "button", class: "name", onclick: () => openInstance(i.name) }, i.name), h("small", {}, `VRID ${i.vrid} · v${i.version} · ${i.interface}${i.group ? ` · group ${i.group}` : ""}`)),
    state,
    cell("Since", h("span", { class: "age", title: clock(i.since), "data-since": i.since })),
    cell("Reason", i.reason, i.waiting && h("small", {}, i.waiting), i.master && h("small", {}, `MASTER is ${i.master}${i.master_priority ? `, priority ${i.master_priority}` : ""}`)),
    cell("Priority", h("span", { class: "number" }, i.priority), i.priority_explanation !== String(i.priority) && h("small", {}, i.priority_explanation)),
    cell("VIPs", h("ul", { class: "lines" }, i.vips.map((v) => h("li", {}, h("code", {}, v.address), " ", v.held ? h("small", {}, "held") : v.redirected ? h("small", {}, "redirected") : "")))),
    cell("Peers", h("ul", { class: "lines" }, i.peers.map((p) => h("li", {}, h("code", {}, p.address),
      h("small", {}, ` ${p.master ? "MASTER, " : ""}priority ${p.priority}, every ${nanos(p.advert_interval_ns)}, ${p.heard}`),
      p.discard && h("small", { class: "bad" }, ` refused: ${p.discard}`)))),
      i.peers.length === 0 && h("small", {}, "none heard")));
}

function drawNodes(n) {
  const data = (n.nodes ?? []).map((x) => ({ ...x, last: 0, heard: x.reachable ? "" : clock(x.last), same: x.config_hash === n.config_hash, sameVersion: x.version === n.version, differs: n.differences?.[x.name] }));
  replace($("nodes"), data, () => data.length > 0 &&
    h("table", { class: "plain nodes" }, h("caption", {}, "Other nodes"),
      head("Node", "Reachable", "Roles", "Version", "Configuration", "Sees differently"),
      h("tbody", {}, data.map(nodeRow))));
}

function nodeRow(x) {
  const roles = Object.entries(x.roles ?? {}).sort();
  return h("tr", { "data-node": x.name },
    h("th", { scope: "row" }, x.name, h("small", {}, x.address)),
    cell("Reachable", x.reachable ? chip("up", "YES") : chip("down", "NO"), x.maintenance && h("small", { class: "warn" }, " in maintenance"),
      x.reachable && !x.ready && h("small", { class: "warn" }, " not ready"), x.error && h("small", { class: "bad" }, x.error), x.heard && h("small", {}, `last answer ${x.heard}`)),
    roles.length === 0 ? cell("Roles", "–") : cell("Roles", h("ul", { class: "lines" }, roles.map(([name, state]) => h("li", {}, name, " ", chip(instanceStates[state] ?? "unknown", state.toUpperCase()))))),
    cell("Version", x.version || "–", x.version && !x.sameVersion && h("small", { class: "warn" }, "another version")),
    cell("Configuration", h("code", {}, x.config_hash ? x.config_hash.slice(0, 8) : "–"), x.config_hash && h("small", { class: x.same ? null : "warn" }, x.same ? "the same" : "another file")),
    cell("Sees differently", x.differs ? differences(x.differs) : h("span", { class: "dim" }, x.reachable ? "nothing" : "–")));
}

const opinion = (x) => `${x.service} ${x.address} is ${x.state} there, ${x.here_state} here`;

function differences(d) {
  return h("details", {}, h("summary", { class: "warn" }, plural(d.count, "server")),
    h("ul", { class: "lines" }, d.servers.map((x) => h("li", {}, opinion(x), x.reason && h("small", {}, x.reason))),
    d.count > d.servers.length && h("li", {}, `and ${d.count - d.servers.length} more`)));
}
