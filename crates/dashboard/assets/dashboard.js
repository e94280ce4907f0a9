// The page's entry point: joins the dashboard's channel, keeps the snapshots of the last five minutes, and renders them.

import { Chart, bytes, counts, durations, spark } from "./chart.js";
import { buckets, counter, quantile, rate, total, write } from "./figure.js";
import { connect, meta, refreshTokens } from "./page.js";
import { Socket } from "./socket.js";

// The most snapshots, as on the server.
const MAX_HISTORY = 300;

// The delay before the page is loaded again, when nothing else helps.
const RELOAD_MS = 2000;

// The element of the page that a restarted server changes.
const TOPIC = 'meta[name="topic"]';

const token = new URL(location.href).searchParams.get("token");

let bounds = [];
let snapshots = [];
let seconds = 300;

const charts = {
  messages: chart("messages", "Messages a second", write.count, counts),
  joins: chart("joins", "Joins a second", write.count, counts),
  handle: chart("handle", "Time in handlers", write.seconds, durations),
  join: chart("join", "Time of joins", write.seconds, durations),
  connections: chart("connections", "Connections", write.count, counts),
  memory: chart("memory", "Memory", write.bytes, bytes),
};

// Connects and joins that were refused or crashed.
const FAILED = ["bennu.socket.connects", "bennu.channel.joins"].flatMap((name) => [`${name}:refused`, `${name}:crashed`]);

// Counters that should stay at 0, with the text for a greater count.
const TROUBLE = [
  ["bennu.channel.crashes", "channels crashed"],
  ["bennu.socket.connects:crashed", "connects crashed"],
  ["bennu.socket.slow_clients", "clients too slow to read"],
  ["bennu.socket.bad_messages", "invalid messages"],
  ["bennu.websocket.protocol_errors", "protocol errors"],
  ["bennu.http.half_open_dropped", "unfinished handshakes dropped"],
  ["bennu.broadcast.unencodable", "broadcasts not encodable"],
  ["bennu.pubsub.dropped", "messages lost to other nodes"],
  ["bennu.presence.messages_lost", "presence messages lost"],
];

for (const button of document.querySelectorAll("[data-seconds]")) {
  button.addEventListener("click", () => {
    seconds = Number(button.dataset.seconds);
    for (const other of document.querySelectorAll("[data-seconds]")) other.setAttribute("aria-pressed", other === button);
    render();
  });
}

const { socket } = connect(`${meta("below")}/socket`, {
  Socket,
  params: token ? { token } : {},
  labels: { open: "Live" },
  refresh: () => refreshTokens(TOPIC),
});
join();

function join() {
  const topic = meta("topic");
  socket.join(topic, {
    joined: (welcome) => {
      bounds = welcome.bounds;
      document.querySelector("#node").textContent = welcome.node;
      document.title = `${welcome.node} · Dashboard`;
      for (const snapshot of welcome.history) add(snapshot);
      render();
    },
    refused: () => joinAnew(topic),
    event: (name, snapshot) => {
      if (name !== "snapshot") return;
      add(snapshot);
      render();
    },
  });
}

// A restarted server has another topic, which its page has. If that does not help, the page shows the server's answer.
async function joinAnew(refused) {
  await refreshTokens(TOPIC).catch(() => {});
  if (meta("topic") === refused) setTimeout(() => location.reload(), RELOAD_MS);
  else join();
}

function chart(name, title, write, scale) {
  const place = document.querySelector(`[data-chart="${name}"]`);
  const onPoint = (at) => Object.values(charts).forEach((other) => other.point(at));
  return new Chart(place, title, write, scale, onPoint);
}

function add(snapshot) {
  const last = snapshots.at(-1);
  if (last && snapshot.at <= last.at) return;
  snapshots.push(snapshot);
  if (snapshots.length > MAX_HISTORY + 1) snapshots.shift();
}

function render() {
  if (snapshots.length === 0) return;
  const to = snapshots.at(-1).at;
  // With a short history the charts show all of it, and at least one minute.
  const from = Math.max(to - seconds * 1000, Math.min(snapshots[0].at, to - 60_000));
  const shown = snapshots.filter((snapshot) => snapshot.at >= from);
  const times = shown.map((snapshot) => snapshot.at);
  const before = (n) => (n > 0 ? shown[n - 1] : snapshots[snapshots.length - shown.length - 1]);
  const each = (read) => shown.map((now, n) => read(now, before(n)));
  const rates = (...names) =>
    each((now, earlier) => {
      const sum = (snapshot) => names.reduce((sum, name) => sum + counter(snapshot, name), 0);
      return earlier ? rate(earlier, now, sum) : null;
    });
  const quantiles = (histogram, share) =>
    each((now, earlier) => (earlier ? quantile(buckets(earlier, now, histogram), bounds, share) : null));
  const gauges = (name) => each((now) => now.gauges[name] ?? 0);
  const memory = each((now) => now.memory);

  const incoming = rates("bennu.socket.messages_in");
  const outgoing = rates("bennu.socket.messages_out");
  const connections = gauges("bennu.socket.connected");
  const joined = gauges("bennu.channel.joined");
  const slowest = quantiles("handle_in", 0.99);

  charts.messages.show(times, from, to, [
    { name: "out", colour: "s2", values: outgoing, area: true },
    { name: "in", colour: "s1", values: incoming },
    { name: "broadcasts", colour: "s3", values: rates("bennu.broadcast.sent") },
  ]);
  charts.joins.show(times, from, to, [
    { name: "joins", colour: "s2", values: rates("bennu.channel.joins:ok"), area: true },
    { name: "connects", colour: "s3", values: rates("bennu.socket.connects:ok") },
    { name: "failed", colour: "failed", values: rates(...FAILED) },
  ]);
  for (const [name, histogram] of [["handle", "handle_in"], ["join", "join"]]) {
    charts[name].show(times, from, to, [
      { name: "99 %", colour: "s1", values: name === "handle" ? slowest : quantiles(histogram, 0.99) },
      { name: "95 %", colour: "s3", values: quantiles(histogram, 0.95) },
      { name: "50 %", colour: "s2", values: quantiles(histogram, 0.5) },
    ]);
  }
  charts.connections.show(times, from, to, [
    { name: "connections", colour: "s2", values: connections, area: true },
    { name: "channels", colour: "s1", values: joined },
  ]);
  charts.memory.show(times, from, to, [
    { name: "resident", colour: "s2", values: memory, area: true },
    { name: "outboxes", colour: "s3", values: gauges("bennu.socket.outbox_bytes") },
    { name: "mailboxes", colour: "s4", values: gauges("bennu.channel.mailbox_bytes") },
  ]);

  tile("connections", connections, write.count);
  tile("channels", joined, write.count);
  tile("in", incoming, write.rate);
  tile("out", outgoing, write.rate);
  tile("handle", slowest, write.seconds, slowestBetween(snapshots.at(-1 - Math.min(10, snapshots.length - 1)), snapshots.at(-1)));
  tile("memory", memory, write.bytes);
  renderChannels(shown[0], shown.at(-1));
  renderTrouble(shown.at(-1));
}

// Returns the handlers' 99 % of the last ten seconds, since a single second may have no message.
function slowestBetween(earlier, now) {
  return quantile(buckets(earlier, now, "handle_in"), bounds, 0.99);
}

function tile(name, values, write, now = values.at(-1)) {
  const place = document.querySelector(`[data-figure="${name}"]`);
  place.dataset.value = now ?? "";
  place.querySelector(".value").textContent = write(now);
  spark(place.querySelector(".spark svg"), values);
}

function renderChannels(earlier, now) {
  const body = document.querySelector("#channels");
  const types = Object.keys(now.channels).sort();
  if (types.length === 0) return;
  body.querySelector(".none")?.remove();
  for (const row of [...body.children]) if (!types.includes(row.dataset.channel)) row.remove();
  types.forEach((type, n) => {
    let row = body.children[n];
    if (row?.dataset.channel !== type) {
      row = document.createElement("tr");
      row.dataset.channel = type;
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = type;
      row.append(head, ...Array.from({ length: 7 }, () => document.createElement("td")));
      body.insertBefore(row, body.children[n] ?? null);
    }
    const channels = now.channels[type];
    const took = earlier === now ? new Map() : buckets(earlier, now, "handle_in", type);
    const shownSeconds = (now.at - earlier.at) / 1000 || 1;
    const joins = (snapshot) => snapshot.channels[type]?.joins[0] ?? 0;
    const [, refused, crashed] = channels.joins;
    const texts = [
      write.count(channels.joined),
      write.count(rate(earlier, now, joins) ?? 0),
      write.count(refused + crashed),
      write.count(total(took) / shownSeconds),
      write.seconds(quantile(took, bounds, 0.5)),
      write.seconds(quantile(took, bounds, 0.99)),
      write.count(channels.crashes),
    ];
    texts.forEach((text, n) => (row.children[n + 1].textContent = text));
    row.lastChild.classList.toggle("bad", channels.crashes > 0);
  });
}

function renderTrouble(now) {
  const list = document.querySelector("#trouble");
  const found = TROUBLE.map(([name, words]) => [counter(now, name), words]).filter(([count]) => count > 0);
  const rows = found.map(([count, words]) => {
    return pill("alarm", `${write.count(count)} ${words}`);
  });
  if (rows.length === 0) {
    rows.push(pill("good", "None: nothing crashed, nothing was lost, no client was too slow."));
    rows[0].classList.add("none");
  }
  list.replaceChildren(...rows);
}

function pill(state, text) {
  const row = document.createElement("li");
  row.className = "pill";
  row.dataset.state = state;
  row.textContent = text;
  return row;
}
