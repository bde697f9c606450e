// The events, the newest first.

import { $, h } from "./dom.js";
import { clock } from "./format.js";
import { model } from "./model.js";

const rowsKept = 300;
let drawn = 0; // the greatest number that is in the table

// drawEvents adds the events that are new; all draws them anew.
export function drawEvents(all) {
  const rows = $("event-rows"), grave = $("grave").checked;
  if (all) {
    drawn = 0;
    rows.replaceChildren();
  }
  for (const event of model.events) {
    if (event.seq <= drawn) continue;
    drawn = event.seq;
    if (grave && event.severity === "info") continue;
    rows.prepend(row(event));
  }
  while (rows.childElementCount > rowsKept) rows.lastElementChild.remove();
}

function row(event) {
  return h("tr", { class: event.severity },
    h("td", { "data-label": "Time" }, h("time", { datetime: event.at }, clock(event.at))),
    h("td", { "data-label": "Severity" }, h("span", { class: "word" }, event.severity)),
    h("td", { "data-label": "Kind" }, h("code", {}, event.kind)),
    h("td", { class: "what" }, event.text));
}

// announced is the last event that was read out.
let announced = 0, speaking;

// announce reads out what is grave, the last of a few at a time.
export function announce(fresh) {
  const last = model.events.findLast((event) => event.severity !== "info");
  if (!last) return;
  if (fresh) announced = last.seq;
  if (last.seq <= announced || speaking) return;
  announced = last.seq;
  speaking = setTimeout(() => {
    speaking = undefined;
    $("announcer").textContent = model.events.findLast((event) => event.severity !== "info")?.text ?? "";
  }, 1500);
}

export function begin() {
  $("grave").addEventListener("change", () => drawEvents(true));
}
