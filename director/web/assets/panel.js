// One server, service or instance in full: why it stands as it does, and what may be
// ordered.

import { $, h, replace } from "./dom.js";
import { amount, clock, nanos, plural, since, time, weight } from "./format.js";
import { bars } from "./graph.js";
import { model, stateOf } from "./model.js";
import { chip, instanceStates, override } from "./node.js";
import { maintenanceForm, orderForm } from "./orders.js";

let shown = null; // what the panel is about, what draws it, and its parts
let refreshing = 0;

// open shows a server, or with an empty address the service of the key.
export function open(key, address, session) {
  const known = model.services.get(key);
  if (!known) return;
  const target = { service: known.service.name, ...(address ? { server: address } : {}) };
  const sorry = address && !known.servers.has(address);
  const draw = address ? drawServer : drawService;
  show({ key, address, draw }, address || known.service.name, address ? `in ${known.service.name}, ${known.service.service}` : known.service.service,
    session.admin && !sorry && orderForm(target, session, refresh));
}

// openInstance shows a VRRP instance.
export const openInstance = (name) => show({ name, draw: drawInstance }, name, "VRRP instance", null);

// openNode shows this node, with what may be ordered of it.
export const openNode = (session) => show({ draw: drawMaintenance }, model.node?.router_id ?? "lvsd", "this node", session.admin && maintenanceForm(session));

function show(about, title, sub, form) {
  const close = h("button", { type: "button", class: "quiet", onclick: () => $("panel").close() }, "Close");
  shown = { ...about, state: h("div", { class: "state" }), body: h("div", { class: "explained" }) };
  $("panel").replaceChildren(h("div", { class: "panel-head" },
    h("div", {}, h("h2", { id: "panel-title" }, title), h("p", { class: "dim" }, sub)), close),
    shown.state, ...(form ? [form] : []), shown.body);
  $("panel").showModal();
  refresh();
}

export function begin() {
  const panel = $("panel");
  panel.addEventListener("close", () => { shown = null; });
  panel.addEventListener("click", (event) => { if (event.target === panel) panel.close(); });
  setInterval(refresh, 3000);
}

// changed draws the panel anew where one of the services in it changed.
export function changed(keys) {
  if (shown && keys.includes(shown.key)) refresh();
}

// nodeChanged draws the panel anew where it is about the node.
export function nodeChanged() {
  if (shown?.draw === drawMaintenance) refresh();
}

function refresh() {
  shown?.draw(shown);
}

// explain asks why something stands as it does, and has that drawn unless the panel is
// about something else by then.
async function explain(about, path, draw) {
  const round = ++refreshing;
  try {
    const answer = await fetch(path);
    const explained = await answer.json();
    if (shown !== about || round !== refreshing) return;
    if (!answer.ok) throw new Error(explained.error.message);
    draw(explained);
  } catch (error) {
    if (shown === about) replace(about.body, String(error), () => h("p", { class: "dim" }, error.message));
  }
}

function drawServer(about) {
  const known = model.services.get(about.key);
  if (!known) return;
  drawState(about, known);
  const query = new URLSearchParams({ server: about.address, service: known.service.name });
  explain(about, `/v1/explain?${query}`, (x) => replace(about.body, x.servers, () => x.servers.map(server)));
}

function drawState(about, known) {
  const one = about.address ? known.servers.get(about.address) : known.service;
  if (!one) return;
  const state = about.address ? stateOf(one) : known.service.quorum.quorate ? "up" : "down";
  const data = [state, one.state, since(one.since ?? ""), one.override];
  replace(about.state, data, () => [
    h("p", {}, chip(state, about.address ? state.toUpperCase() : known.service.quorum.quorate ? "QUORATE" : "NO QUORUM"),
      about.address && ` health ${one.state} since ${clock(one.since)} (${since(one.since)})`),
    one.override && h("p", { class: "override" }, h("b", {}, "Ordered: "), override(one.override)),
  ]);
}

function drawService(about) {
  const known = model.services.get(about.key);
  if (!known) return;
  drawState(about, known);
  const { service } = known;
  explain(about, `/v1/explain/service/${encodeURIComponent(service.name)}`, (x) =>
    replace(about.body, [service, known.addresses, x.servers.map(verdict), x.events], () => [pairs([
      ["Scheduler", service.scheduler], ["Forwarding", service.forwarding],
      ["Quorum", `${service.quorum.up} up of ${service.quorum.needed} needed, since ${clock(service.quorum.since)}`],
      ["Servers", `${service.servers_up} of ${known.addresses.length} up`],
      ["Sorry server", service.sorry_server && `${service.sorry_server}, ${service.sorry_server_in_use ? "in use" : "not in use"}`],
    ]), table("Its servers", ["Server", "Health", "Decided by", "Weight"], x.servers.map((one) => {
      const [address, state, because, now] = verdict(one);
      return [address, chip(state, state.toUpperCase()), because, now];
    })), events(x.events)]));
}

// verdict is what is told of a server among all of its service.
function verdict(x) {
  const decides = x.checks[x.because] ?? x.checks[0];
  return [x.address, x.state, decides ? `${decides.kind} ${decides.code ?? ""} ${decides.reason ?? ""}` : "no check", x.weight.now];
}

function drawInstance(about) {
  const path = `/v1/explain/instance/${encodeURIComponent(about.name)}`;
  explain(about, path, ({ instance: i, group, trackers, events: last }) => {
    replace(about.state, [i.state, i.reason, i.since], () => h("p", {}, chip(instanceStates[i.state] ?? "unknown", i.state.toUpperCase()), ` ${i.reason}, since ${clock(i.since)}`));
    replace(about.body, [i.priority_explanation, i.base_priority, i.held, i.yielded, i.settling, i.waiting, i.master, i.faults, i.peers?.length, group, trackers, last], () => [pairs([
      ["Priority", i.priority_explanation],
      ["MASTER", i.master && `${i.master}${i.master_priority ? `, priority ${i.master_priority}` : ""}`],
      ["Waits for", i.waiting],
      ["Held", i.held && "not to be MASTER until it is released"],
      ["Yielded", i.yielded && "it gave up, and leaves its successor in peace"],
      ["Settling", i.settling && "it only listens yet"],
      ["Faults", (i.faults ?? []).join("; ")],
      ["Group", group && `${group.name} is ${group.state.toUpperCase()} since ${clock(group.since)}: ${group.instances.join(", ")}`],
    ]), trackers.length > 0 && table("What it depends on", ["Tracker", "State", "Since", "Reason"],
      trackers.map((t) => [`${t.kind} ${t.name}`, chip(t.state, t.state.toUpperCase()), clock(t.since), t.reason ?? ""])), events(last)]);
  });
}

function drawMaintenance(about) {
  const on = model.node?.maintenance;
  replace(about.state, [on ?? null], () => on ? [h("p", {}, chip("drain", "MAINTENANCE")), h("p", { class: "override" }, h("b", {}, "Ordered: "), override(on))] :
    h("p", {}, "Not in maintenance."));
  replace(about.body, 0, () => h("p", { class: "dim" },
    "Maintenance drains this node's real servers on every node, leaves its instances to other nodes, and holds them BACKUP until it ends. Without another node that takes over, nothing is changed."));
}

// table is one of texts and elements.
function table(caption, names, rows) {
  return h("div", { class: "scroll" }, h("table", { class: "plain tight" }, h("caption", {}, caption),
    h("thead", {}, h("tr", {}, names.map((n) => h("th", { scope: "col" }, n)))),
    h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((c) => h("td", {}, c)))))));
}

// events are the last ones of a subject, the newest first.
function events(all) {
  return all.length > 0 && table("Its last events", ["Time", "Severity", "What"], all.toReversed().map((e) => [clock(e.at), e.severity, e.text]));
}

const pairs = (all) => h("dl", { class: "pairs" }, all.filter(([, value]) => value !== undefined && value !== null && value !== false && value !== "")
  .map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));

// server is the explanation of a real server in one virtual service.
function server(x) {
  const decides = x.checks[x.because];
  const all = [...x.checks, ...(x.weight_checks ?? [])];
  return h("article", {},
    pairs([
      ["Host", x.host],
      ["Decided by", decides && `${decides.kind} ${decides.target}: ${decides.code ?? ""} ${decides.reason ?? ""}`],
      ["Counts as up", x.any_check && "if one check is up"],
      ["Weight", weights(x.weight)],
      ["While down", x.removed_while_down ? "removed from the table" : "kept with weight 0"],
    ]),
    h("div", { class: "scroll" }, h("table", { class: "plain tight" }, h("caption", {}, "In the kernel"),
      h("thead", {}, h("tr", {}, ["Service", "Planned", "Kernel", "Active", "Inactive"].map((n, i) => h("th", { scope: "col", class: i > 0 && "number" }, n)))),
      h("tbody", {}, x.places.map((p) => h("tr", {}, h("td", {}, p.service), h("td", { class: "number" }, weight(p.planned_weight)), h("td", { class: "number" }, weight(p.kernel_weight)),
        h("td", { class: "number" }, amount(p.active_connections)), h("td", { class: "number" }, amount(p.inactive_connections))))))),
    all.length === 0 ? h("p", { class: "dim" }, "No check is configured.") : all.map(check));
}

function weights(w) {
  return [`configured ${w.configured}`, w.told_weight !== undefined && `told ${w.told_weight}`, w.kept && "kept from before",
    `while up ${w.up}`, w.now !== w.up && `now ${w.now}`, Number.isFinite(time(w.rising_until)) && `rising until ${clock(w.rising_until)}`].filter(Boolean).join(", ");
}

const opened = new Set(); // transcripts and histories that are open

// fold is text that is shown on demand, and stays so when it is drawn anew.
function fold(key, title, ...children) {
  return h("details", { open: opened.has(key), ontoggle: (event) => (event.target.open ? opened.add(key) : opened.delete(key)) },
    h("summary", {}, title), ...children);
}

function check(c) {
  const name = `${c.kind} ${c.target}`;
  const last = c.last;
  return h("section", { class: "check" },
    h("h3", {}, chip(c.state, c.state.toUpperCase()), " ", name, c.weight !== undefined && h("small", {}, ` weight ${c.weight > 0 ? "+" : ""}${c.weight}`)),
    h("p", {}, h("b", { class: `code ${c.state}` }, c.code ?? ""), " ", c.reason, c.warning && h("span", { class: "warn" }, ` · ${c.warning}`)),
    pairs([
      ["Since", clock(c.since)],
      ["Last", last && `${clock(last.at)} in ${nanos(last.duration_ns)}${last.tries > 1 ? `, ${last.tries} tries` : ""}`],
      ["Every", `${nanos(c.interval_ns)}, timeout ${nanos(c.timeout_ns)}, rise ${c.rise}, fall ${c.fall}`],
      ["Against it", c.against > 0 && `${c.against} of ${c.needed} results`],
      ["Held", c.held],
      ["Flapping", c.flap_suppressed ? "kept down" : c.flap_score > 0 ? `score ${c.flap_score.toFixed(1)} of ${c.flap_limit}` : ""],
      ["Results", `${c.successes} passed, ${c.failures} failed${c.inconclusive ? `, ${c.inconclusive} inconclusive` : ""}`],
      ["Via", c.via],
    ]),
    c.history.length > 0 && bars(c.history),
    last?.transcript && fold(`t ${name}`, "Transcript of the last probe", h("pre", {}, last.transcript)),
    c.last_failure?.transcript && c.last_failure.at !== last?.at && fold(`f ${name}`, `Transcript of the last failure, ${clock(c.last_failure.at)}`, h("pre", {}, c.last_failure.transcript)),
    c.history.length > 0 && fold(`h ${name}`, `The last ${plural(c.history.length, "result")}`, history(c.history)));
}

function history(results) {
  return h("div", { class: "scroll" }, h("table", { class: "plain tight" },
    h("thead", {}, h("tr", {}, ["Time", "Result", "Took", "Reason"].map((n) => h("th", { scope: "col", class: n === "Took" && "number" }, n)))),
    h("tbody", {}, results.toReversed().map((r) => h("tr", {}, h("td", {}, clock(r.at)),
      h("td", {}, h("b", { class: `code ${r.ok ? "up" : r.inconclusive ? "unknown" : "down"}` }, r.code)), h("td", { class: "number" }, nanos(r.duration_ns)), h("td", {}, r.reason ?? ""))))));
}
