// The stream of what changes, begun again whenever it ends.

import { $ } from "./dom.js";

const kinds = ["node", "services", "traffic", "events"];
const longestPause = 10000;
// silence is how long nothing may come: the node says something at least every 15 s.
const silence = 40000;

// follow hands each message to its handler until the page is left. changed is called
// with "connecting", "live" or "lost".
export function follow(handlers, changed) {
  let pause = 500, source, watch, build;
  const begin = () => {
    source = new EventSource("/v1/stream");
    const heard = () => {
      clearTimeout(watch);
      watch = setTimeout(again, silence);
    };
    heard();
    source.addEventListener("hello", (message) => {
      heard();
      const told = JSON.parse(message.data).build;
      if (build && build !== told) location.reload(); // the node has another version of the page
      build = told;
      pause = 500;
      changed("live");
    });
    for (const kind of kinds) {
      source.addEventListener(kind, (message) => {
        heard();
        handlers[kind](JSON.parse(message.data));
      });
    }
    source.onerror = again;
  };
  const again = async () => {
    source.close();
    clearTimeout(watch);
    changed("lost");
    const delay = pause * (0.75 + Math.random() / 2);
    pause = Math.min(2 * pause, longestPause);
    await new Promise((done) => setTimeout(done, delay));
    if (!(await mayLook())) return;
    begin();
  };
  addEventListener("pagehide", () => source.close());
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  changed("connecting");
  begin();
}

// mayLook goes to the form where the session is over. A node that does not answer is
// asked again later.
async function mayLook() {
  try {
    const answer = await fetch("/v1/session");
    if (answer.status === 401) {
      location.assign("/sign-in");
      return false;
    }
  } catch {
    // The stream finds out.
  }
  return true;
}

// showState tells whether what is shown is up to date.
export function showState(state) {
  const words = { connecting: "connecting", live: "live", lost: "connection lost" };
  const element = $("live");
  if (element.dataset.state === state) return;
  element.dataset.state = state;
  element.textContent = words[state];
  document.body.classList.toggle("stale", state === "lost");
}
