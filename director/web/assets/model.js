// What is known of the node, by the messages of the stream.

import { setClock } from "./format.js";

// historyLength is how many values a graph has: 5 minutes at one each 2 s.
const historyLength = 150;

// Series are the last values of a number.
export class Series {
  values = [];
  max = 0;
  push(value) {
    this.values.push(value);
    if (this.values.length > historyLength) this.values.shift();
    this.max = Math.max(this.max, value);
  }
}

export const model = {
  node: null,
  order: [],
  services: new Map(),
  traffic: new Map(),
  trafficError: "",
  events: [],
};

// takeServices returns the keys of the services that are others now.
export function takeServices(news) {
  if (news.all) model.services.clear();
  for (const change of news.changed ?? []) {
    let known = model.services.get(change.key);
    if (!known) {
      known = { key: change.key, service: null, addresses: [], servers: new Map() };
      model.services.set(change.key, known);
    }
    if (change.service) known.service = change.service;
    for (const server of change.servers ?? []) known.servers.set(server.address, server);
    if (change.addresses) {
      known.addresses = change.addresses;
      for (const address of known.servers.keys()) {
        if (!change.addresses.includes(address)) known.servers.delete(address);
      }
    }
  }
  if (news.order || news.all) {
    model.order = news.order ?? [];
    const there = new Set(model.order);
    for (const key of model.services.keys()) if (!there.has(key)) model.services.delete(key);
  }
  return (news.changed ?? []).map((change) => change.key);
}

// takeTraffic takes in counters, and a value for each graph: what did not change is
// as before.
export function takeTraffic(news) {
  setClock(news.at);
  model.trafficError = news.error ?? "";
  const before = model.traffic;
  if (news.all) model.traffic = new Map();
  for (const change of news.changed ?? []) {
    const known = model.traffic.get(change.key) ??
      { rate: before.get(change.key)?.rate ?? new Series(), servers: new Map() };
    const servers = known.servers;
    const rates = before.get(change.key)?.servers;
    if (change.whole) known.servers = new Map();
    for (const server of change.real_servers ?? []) {
      const series = servers.get(server.address)?.rate ?? rates?.get(server.address)?.rate ?? new Series();
      known.servers.set(server.address, { counters: server, rate: series });
    }
    known.counters = change;
    model.traffic.set(change.key, known);
  }
  for (const key of news.gone ?? []) model.traffic.delete(key);
  for (const one of model.traffic.values()) {
    one.rate.push(one.counters.connection_rate);
    for (const server of one.servers.values()) server.rate.push(server.counters.connection_rate);
  }
}

// eventsKept bounds the events that the page knows.
const eventsKept = 300;

export function takeEvents(news) {
  if (news.all) model.events = [];
  model.events.push(...news.events);
  if (model.events.length > eventsKept) model.events.splice(0, model.events.length - eventsKept);
}

// stateOf is how a server stands, in one word: what operators want of it goes before
// its health.
export function stateOf(server) {
  if (server.admin === "disabled") return "disabled";
  if (server.admin === "drain") return "drain";
  if (server.state === "draining") return "draining";
  return server.state;
}

// troubles counts the servers of a service that do not serve.
export function troubles(known) {
  let count = 0;
  for (const server of known.servers.values()) if (stateOf(server) !== "up") count++;
  return count;
}

// isTrouble reports whether an operator has something to look at in a service.
export function isTrouble(known) {
  return troubles(known) > 0 || !known.service.quorum.quorate || known.service.sorry_server_in_use || Boolean(known.service.override);
}
