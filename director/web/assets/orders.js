// What an operator may order of a server or a service.

import { h } from "./dom.js";

const hour = 3600e9;
const durations = [["until cleared", 0], ["10 minutes", hour / 6], ["1 hour", hour], ["8 hours", 8 * hour], ["1 day", 24 * hour], ["1 week", 168 * hour]];

// orderForm is the form for a target.
export function orderForm(target, session) {
  const answer = h("p", { role: "status", class: "answer" });
  const reason = h("input", { name: "reason", maxlength: "200", placeholder: "why, for the others", autocomplete: "off" });
  const until = h("select", { name: "for" }, durations.map(([text, ns]) => h("option", { value: ns }, text)));
  const number = h("input", { name: "weight", type: "number", min: "0", max: "65535", inputmode: "numeric", placeholder: "weight", "aria-label": "Weight" });
  const send = (path, body) => async (event) => {
    const form = event.target.closest("fieldset");
    form.disabled = true;
    answer.textContent = "Ordered, waiting for the nodes.";
    answer.className = "answer";
    try {
      tell(answer, await post(path, body(), session));
    } catch (error) {
      answer.textContent = error.message;
      answer.className = "answer bad";
    }
    form.disabled = false;
  };
  const order = (part) => () => ({ target, ...part(), reason: reason.value.trim(), for_ns: Number(until.value) });
  const state = (name) => send("/v1/orders", order(() => ({ state: name })));
  const setWeight = send("/v1/orders", order(() => ({ weight: Number(number.value) })));
  return h("form", { class: "orders", onsubmit: (event) => event.preventDefault() }, h("fieldset", {},
    h("legend", {}, "Order"),
    h("label", {}, "Reason", reason), h("label", {}, "For", until),
    h("div", { class: "buttons" },
      h("button", { type: "button", "data-order": "drain", onclick: state("drain"), title: "no new connections; those that stand go on" }, "Drain"),
      h("button", { type: "button", "data-order": "disabled", onclick: state("disabled"), title: "out of the table; connections end" }, "Disable"),
      h("button", { type: "button", "data-order": "enabled", onclick: state("enabled"), title: "as health has it, whatever is ordered of its service" }, "Enable"),
      target.server && h("span", { class: "pair" }, number, h("button", { type: "button", "data-order": "weight", onclick: (event) => {
        if (number.value !== "" && number.reportValidity()) setWeight(event);
        else number.focus();
      } }, "Set weight")),
      h("button", { type: "button", "data-order": "clear", onclick: send("/v1/orders/clear", () => ({ target })), title: "take back what was ordered" }, "Clear")),
    answer));
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

// tell says which nodes have taken the order.
function tell(element, spread) {
  const o = spread.override;
  const what = [o.state, o.weight === undefined ? "" : `weight ${o.weight}`].filter(Boolean).join(", ");
  const told = spread.told ?? [], untold = Object.entries(spread.untold ?? {});
  const text = [o.cleared ? "Cleared here." : `Ordered here: ${what}.`];
  if (told.length > 0) text.push(`Told: ${told.join(", ")}.`);
  if (untold.length > 0) text.push(`Not told yet: ${untold.map(([node, why]) => `${node} (${why})`).join(", ")}.`);
  element.textContent = text.join(" ");
  element.className = untold.length > 0 ? "answer warn" : "answer good";
}
