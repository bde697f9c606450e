// What an operator may order of a server, a service or the node.

import { h } from "./dom.js";

const hour = 3600e9;
const durations = [["until cleared", 0], ["10 minutes", hour / 6], ["1 hour", hour], ["8 hours", 8 * hour], ["1 day", 24 * hour], ["1 week", 168 * hour]];

// formOf is a form with a reason and an end. Make adds its own: it is given what sends
// a body to a path when a button is pressed, and what every order says.
function formOf(legend, session, make) {
  const answer = h("p", { role: "status", class: "answer" });
  const reason = h("input", { name: "reason", maxlength: "200", placeholder: "why, for the others", autocomplete: "off" });
  const until = h("select", { name: "for" }, durations.map(([text, ns]) => h("option", { value: ns }, text)));
  const send = (path, body, waiting = "Ordered, waiting for the nodes.", said = told) => async (event) => {
    const form = event.target.closest("fieldset");
    form.disabled = true;
    answer.textContent = waiting;
    answer.className = "answer";
    try {
      [answer.textContent, answer.className] = said(await post(path, body(), session));
    } catch (error) {
      answer.textContent = error.message;
      answer.className = "answer bad";
    }
    form.disabled = false;
  };
  const words = () => ({ reason: reason.value.trim(), for_ns: Number(until.value) });
  return h("form", { class: "orders", onsubmit: (event) => event.preventDefault() }, h("fieldset", {},
    h("legend", {}, legend),
    h("label", {}, "Reason", reason), h("label", {}, "For", until),
    h("div", { class: "buttons" }, ...make(send, words)),
    answer));
}

const button = (name, text, title, onclick) => h("button", { type: "button", "data-order": name, onclick, title }, text);

// orderForm is the form for a target; done is called when its checks have been asked.
export function orderForm(target, session, done) {
  const number = h("input", { name: "weight", type: "number", min: "0", max: "65535", inputmode: "numeric", placeholder: "weight", "aria-label": "Weight" });
  return formOf("Order", session, (send, words) => {
    const order = (part) => send("/v1/orders", () => ({ target, ...part(), ...words() }));
    const state = (name) => order(() => ({ state: name }));
    const setWeight = order(() => ({ weight: Number(number.value) }));
    return [
      button("drain", "Drain", "no new connections; those that stand go on", state("drain")),
      button("disabled", "Disable", "out of the table; connections end", state("disabled")),
      button("enabled", "Enable", "as health has it, whatever is ordered of its service", state("enabled")),
      target.server && h("span", { class: "pair" }, number, button("weight", "Set weight", null, (event) => {
        if (number.value !== "" && number.reportValidity()) setWeight(event);
        else number.focus();
      })),
      button("clear", "Clear", "take back what was ordered", send("/v1/orders/clear", () => ({ target }))),
      button("check", "Check now", "the checks ask at once", send("/v1/check", () => target, "Waiting for the checks.", (explained) => {
        done();
        return checked(explained);
      })),
    ];
  });
}

// maintenanceForm begins maintenance of this node and ends it.
export function maintenanceForm(session) {
  return formOf("Maintenance of this node", session, (send, words) => [
    button("maintenance-on", "Begin", "drain this node's real servers everywhere, leave its instances to others and hold them",
      send("/v1/maintenance", () => ({ on: true, ...words() }), "Waiting until another node is MASTER of each instance.")),
    button("maintenance-off", "End", "undo that", send("/v1/maintenance", () => ({ on: false }), "Waiting for the nodes.")),
  ]);
}

// checked says what checks found.
function checked(explained) {
  const servers = explained.servers, up = servers.filter((x) => x.state === "up").length;
  const text = servers.length === 1 ? `Checked: ${servers[0].state}.` : `Checked: ${up} of ${servers.length} up.`;
  return [text, up < servers.length ? "answer warn" : "answer good"];
}

async function post(path, body, session) {
  const response = await fetch(path, {
    method: "POST", body: JSON.stringify(body),
    headers: { "Content-Type": "application/json", "X-Lvsd-Token": session.token },
  });
  if (response.status === 401) location.assign("/sign-in");
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error.message);
  return answer;
}

// told says which nodes have taken the order.
function told(spread) {
  const o = spread.override;
  const what = [o.state, o.weight === undefined ? "" : `weight ${o.weight}`].filter(Boolean).join(", ");
  const nodes = spread.told ?? [], untold = Object.entries(spread.untold ?? {});
  const text = [o.cleared ? "Cleared here." : `Ordered here: ${what}.`];
  if (nodes.length > 0) text.push(`Told: ${nodes.join(", ")}.`);
  if (untold.length > 0) text.push(`Not told yet: ${untold.map(([node, why]) => `${node} (${why})`).join(", ")}.`);
  return [text.join(" "), untold.length > 0 ? "answer warn" : "answer good"];
}
