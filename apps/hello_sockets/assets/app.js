// The page's entry point: it creates the connections and channels, connects the buttons to pushes, and shows arriving
// messages. `connections.js`, `channels.js` and `log.js` own the state of connections, channels and the log.

import { clock, meta } from "/assets/page.js";
import { LiveChannel, TopicList } from "./channels.js";
import { LoggedConnection } from "./connections.js";
import { offerCopies } from "./copy.js";
import { Lane } from "./lane.js";
import { Log, compact } from "./log.js";
import { Pushes } from "./pushes.js";

// Shorter than the client's default of 10 s, so that the timeout is visible soon.
const PONG_TIMEOUT_MS = 3000;
const MAX_NUMBERS = 60;
const PINGS = 5;

const byId = (id) => document.querySelector(`#${id}`);
const onClick = (id, action) => byId(id).addEventListener("click", action);

const userId = meta("user-id");

const log = new Log();
const socket = new LoggedConnection("socket", "socket", log);
const authSocket = new LoggedConnection("auth_socket", "auth-socket", log, () => ({ token: meta("auth-token") }));
const statsSocket = new LoggedConnection("stats_socket", "stats-socket", log);

const ping = new LiveChannel(socket, "ping", card("ping"), log, { send_ping: answerPingRequest });
const dupe = new LiveChannel(socket, "dupe", card("dupe"), log, { number: showNumber });
const recurring = new LiveChannel(authSocket, "recurring", card("recurring"), log, { new_token: keepToken });

const rooms = topicList("room", socket, { canPing: true });
const wild = topicList("wild", socket, { canPing: true });
const pushes = new Pushes();
const users = topicList("user", authSocket, {
  canPing: false,
  handlers: { push: (data) => pushes.add("push", data), push_timed: (data) => pushes.add("push_timed", data) },
});

const valid = new LiveChannel(statsSocket, "valid", card("valid"), log);
const invalid = new LiveChannel(statsSocket, "invalid", card("invalid"), log);
const lanes = [new Lane("slow", "slow_ping", log), new Lane("parallel", "parallel_slow_ping", log)];

onClick("ping", () => ping.push("ping", {}));
onClick("ping-payload", () => ping.push("ping", { ack_phrase: byId("ping-phrase").value }));
onClick("ping-event", () => ping.push(`ping:${byId("ping-phrase").value}`, {}));
onClick("param-echo", () => ping.push("param_ping", { error: false, arr: [1, 2] }));
onClick("param-error", () => ping.push("param_ping", { error: true }));
onClick("pong", () => ping.push("pong", {}, PONG_TIMEOUT_MS));
onClick("pang", () => ping.push("pang", {}));
onClick("crash", () => ping.pushWithoutAnswer("invalid", {}));

onSubmit("room-form", () => rooms.join(`ping:${byId("room-name").value}`));
onSubmit("wild-form", () => wild.join(`wild:${byId("wild-a").valueAsNumber}:${byId("wild-b").valueAsNumber}`));
onSubmit("user-form", () => users.join(`user:${byId("user-id").valueAsNumber}`));

onClick("pings", pingFiveTimes);
onClick("both-ask", () => lanes.forEach((lane) => lane.ask()));

onClick("dupe-clear", clearNumbers);
offerCopies();

socket.connect();
authSocket.connect();
statsSocket.connect();
for (const channel of [ping, dupe, recurring, invalid, valid]) channel.join();
users.join(`user:${userId}`);

function card(topic) {
  return document.querySelector(`[data-channel="${topic}"]`);
}

function topicList(name, connection, { canPing, handlers }) {
  const focusAfterRemoval = byId(`${name}-form`).querySelector("input");
  return new TopicList(connection, log, { list: byId(`${name}-list`), focusAfterRemoval, canPing, handlers });
}

function onSubmit(id, action) {
  byId(id).addEventListener("submit", (event) => {
    event.preventDefault();
    action();
  });
}

async function answerPingRequest(payload, channel) {
  const line = byId("send-ping");
  line.dataset.fromNode = payload.from_node;
  line.dataset.count = Number(line.dataset.count) + 1;
  line.textContent = `${clock()}: ${payload.from_node} asked; answering`;
  const response = await channel.push("ping", {});
  line.textContent = `${clock()}: ${payload.from_node} asked for a ping; answered, and got ${compact(response) || "nothing"}`;
}

function keepToken({ token }) {
  document.querySelector('meta[name="auth-token"]').content = token;
  const cell = byId("recurring-token");
  cell.textContent = token.length > 28 ? `${token.slice(0, 12)}…${token.slice(-10)}` : token;
  cell.title = token;
  cell.dataset.token = token;
  byId("recurring-time").textContent = clock();
  byId("recurring-count").textContent = Number(byId("recurring-count").textContent) + 1;
}

// Sends five pings at once. The channel replies to one after another, so each waits for the earlier ones.
function pingFiveTimes() {
  byId("ping-times").replaceChildren();
  for (let n = 0; n < PINGS; n++) {
    const since = performance.now();
    valid.push("ping", {}).then((response) => {
      if (!response) return;
      const chip = document.createElement("li");
      chip.dataset.ms = Math.round(performance.now() - since);
      chip.textContent = `${chip.dataset.ms} ms`;
      byId("ping-times").append(chip);
    });
  }
}

function showNumber({ value }) {
  const chip = document.createElement("li");
  chip.dataset.value = value;
  chip.textContent = value;
  const chips = byId("dupe-numbers");
  chips.append(chip);
  while (chips.childElementCount > MAX_NUMBERS) chips.firstElementChild.remove();
  byId("dupe-time").textContent = `Last at ${clock()}`;
  byId("dupe-clear").hidden = false;
}

function clearNumbers() {
  byId("dupe-numbers").replaceChildren();
  byId("dupe-time").textContent = "No numbers yet.";
  byId("dupe-clear").hidden = true;
  byId("dupe-toggle").focus();
}
