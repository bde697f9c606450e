// The page: takes in what the node tells, and has it drawn.

import { $, show } from "./dom.js";
import * as events from "./events.js";
import { model, takeEvents, takeServices, takeTraffic } from "./model.js";
import * as node from "./node.js";
import * as panel from "./panel.js";
import * as services from "./services.js";
import { follow, showState } from "./stream.js";

let session = { admin: false };

const handlers = {
  node(news) {
    model.node = news;
    node.drawNode();
    panel.nodeChanged();
  },
  services(news) {
    const keys = takeServices(news);
    services.drawServices(keys);
    panel.changed(keys);
  },
  traffic(news) {
    takeTraffic(news);
    services.drawTraffic();
  },
  events(news) {
    takeEvents(news);
    events.drawEvents(news.all);
    events.announce(news.all);
  },
};

// theme lets somebody choose the other one.
function theme() {
  const button = $("theme"), dark = matchMedia("(prefers-color-scheme: dark)");
  const current = () => document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");
  const label = () => { button.textContent = current() === "dark" ? "Light" : "Dark"; };
  button.addEventListener("click", () => {
    const next = current() === "dark" ? "light" : "dark";
    document.documentElement.dataset.theme = next;
    try {
      localStorage.setItem("lvsd-theme", next);
    } catch {
      // It is forgotten with the page.
    }
    label();
  });
  dark.addEventListener("change", label);
  label();
}

async function whoLooks() {
  const answer = await fetch("/v1/session");
  if (answer.status === 401) {
    location.assign("/sign-in");
    return;
  }
  if (!answer.ok) return;
  session = await answer.json();
  $("user").textContent = session.user ?? "";
  show($("sign-out"), Boolean(session.user));
  show($("maintenance"), session.admin);
}

// The columns' names stay below the bar, which is as high as its text needs.
new ResizeObserver(([bar]) => {
  document.documentElement.style.setProperty("--bar", `${Math.floor(bar.target.offsetHeight)}px`);
}).observe(document.querySelector(".bar"));

theme();
events.begin();
panel.begin();
node.begin((name) => panel.openInstance(name));
$("maintenance").addEventListener("click", () => panel.openNode(session));
services.begin((key, address) => panel.open(key, address, session));
whoLooks().catch(() => {}); // the stream begins anew and says so
follow(handlers, (state) => {
  showState(state);
  if (state === "live") whoLooks().catch(() => {});
});
// Durations grow although nothing changes.
setInterval(() => {
  node.drawNode();
  services.drawTraffic();
}, 1000);
