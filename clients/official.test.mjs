// The official client (npm `phoenix`) in Node, over `ws` as its WebSocket.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { Socket } from "phoenix";
import WebSocket from "ws";
import { Inbox, Server, within } from "./harness.mjs";
import { HURRY, RECONNECT_MS, REJOIN_MS, errorsOf, events, join, opened, outcome, pattern, push, tryJoin } from "./official.mjs";

// The time limit of a reconnect without its timers: close, connect and join on a busy machine.
const SLACK_MS = 2_000;

let server;
let sockets = [];

before(async () => { server = await Server.start(); });
after(() => server.kill());
afterEach(() => {
  for (const socket of sockets) socket.disconnect();
  sockets = [];
});

test("a join has an ok reply, and its params reach the channel", async () => {
  const socket = await connect();
  const { response } = await join(socket, "reply:lobby", { colour: "blue", nested: [1, null] });
  assert.deepEqual(response, { topic: "reply:lobby", got: { colour: "blue", nested: [1, null] } });
});

test("a finally refused client receives the reason, and 1.8.15 does not reconnect", async () => {
  const { Socket: Before } = await import("phoenix-1.8.15");
  const socket = new Before(`${server.ws}/stopconn_socket`, { transport: WebSocket, ...HURRY });
  sockets.push(socket);
  const { code, reason } = await within(closeOf(socket), "the close");
  assert.deepEqual([code, String(reason)], [1000, "banned"]);
  assert.equal(socket.reconnectTimer.timer, null, "no further attempt is scheduled");
});

test("a finally refused client reconnects since 1.8.16, unless its onClose disconnects", async () => {
  const stubborn = new Socket(`${server.ws}/stopconn_socket`, { transport: WebSocket, ...HURRY });
  sockets.push(stubborn);
  await within(closeOf(stubborn), "the close");
  await within(closeOf(stubborn), "the close of the next connection");
  stubborn.disconnect();

  const polite = new Socket(`${server.ws}/stopconn_socket`, { transport: WebSocket, ...HURRY });
  sockets.push(polite);
  polite.onClose(({ code, reason }) => { if (code === 1000 && reason) polite.disconnect(); });
  await within(closeOf(polite), "the close");
  assert.ok(polite.closeWasClean && !polite.isConnected(), "it counts as disconnected by its own user");
});

function closeOf(socket) {
  const closed = new Promise((resolve) => socket.onClose(resolve));
  socket.connect();
  return closed;
}

test("a refused join gives the channel's reason", async () => {
  const socket = await connect();
  const { status, response } = await tryJoin(socket, "deny:lobby");
  assert.deepEqual([status, response], ["error", { reason: "denied" }]);
});

test("a topic without a channel is refused as unmatched", async () => {
  const socket = await connect();
  const { status, response } = await tryJoin(socket, "nosuch:topic");
  assert.deepEqual([status, response], ["error", { reason: "unmatched topic" }]);
});

test("a push has an ok reply", async () => {
  const { channel } = await join(await connect(), "ping");
  assert.deepEqual(await push(channel, "ping"), ["ok", { ping: "pong" }]);
  assert.deepEqual(await push(channel, "ping", { ack_phrase: "hooray!" }), ["ok", { ping: "hooray!" }]);
  assert.deepEqual(await push(channel, "ping:hooray!"), ["ok", { ping: "hooray!" }]);
  assert.deepEqual(await push(channel, "param_ping", { error: false, arr: [1, 2] }), ["ok", { error: false, arr: [1, 2] }]);
  assert.deepEqual(await push(channel, "async_reply"), ["ok", { later: true }]);
});

test("a push has an error reply", async () => {
  const { channel } = await join(await connect(), "ping");
  assert.deepEqual(await push(channel, "param_ping", { error: true }), ["error", { reason: "You asked for this!" }]);
});

test("a push without a reply times out in the client, and the channel stays joined", async () => {
  const { channel } = await join(await connect(), "ping");
  const [status] = await push(channel, "pong", {}, 100);
  assert.equal(status, "timeout");
  assert.deepEqual(await push(channel, "ping"), ["ok", { ping: "pong" }]);
});

test("pushes before the reply to the join are sent after it, in order", async () => {
  const socket = await connect();
  const channel = socket.channel("slow:lobby");
  const joined = outcome(channel.join());
  const echoes = [1, 2, 3].map((n) => push(channel, "echo", { n }));
  assert.equal((await within(joined, "the slow join"))[0], "ok");
  assert.deepEqual(await Promise.all(echoes), [1, 2, 3].map((n) => ["ok", { n }]));
});

test("pushes of the channel arrive before the reply that follows them", async () => {
  const { channel } = await join(await connect(), "ping");
  const seen = new Inbox("pushes and reply");
  channel.on("one", (payload) => seen.push(["one", payload]));
  channel.on("two", (payload) => seen.push(["two", payload]));
  channel.push("push_two").receive("ok", (payload) => seen.push(["ok", payload]));
  assert.deepEqual([await seen.next(), await seen.next(), await seen.next()],
    [["one", { n: 1 }], ["two", { n: 2 }], ["ok", { n: 3 }]]);
});

test("a broadcast of the endpoint arrives at both clients of its topic, and at no other topic", async () => {
  const here = await join(await connect(), "ping:one");
  const there = await join(await connect(), "ping:one");
  const other = await join(await connect(), "ping:two");
  const inboxes = [here, there, other].map(({ channel }) => events(channel, "news"));
  await server.broadcast("ping:one", "news", { text: "first" });
  await server.broadcast("ping:two", "news", { text: "second" });
  assert.deepEqual(await inboxes[0].next(), { text: "first" });
  assert.deepEqual(await inboxes[1].next(), { text: "first" });
  assert.deepEqual(await inboxes[2].next(), { text: "second" });
});

test("an intercepted broadcast arrives with the channel's changes", async () => {
  const { channel } = await join(await connect(), "ping");
  const asked = events(channel, "send_ping");
  const notIntercepted = events(channel, "request_ping");
  await server.broadcast("ping", "request_ping", { why: "test" });
  assert.deepEqual(await asked.next(), { why: "test", from_node: "nonode@nohost" });
  assert.deepEqual(await push(channel, "ping"), ["ok", { ping: "pong" }]);
  assert.equal(notIntercepted.size, 0);
});

test("two clients broadcast to each other, with and without themselves", async () => {
  const [left, right] = [await join(await connect(), "bench:room"), await join(await connect(), "bench:room")];
  const [atLeft, atRight] = [events(left.channel, "msg"), events(right.channel, "msg")];
  left.channel.push("broadcast_from", { from: "left, to others" });
  assert.deepEqual(await atRight.next(), { from: "left, to others" });
  assert.deepEqual(await push(left.channel, "broadcast_ack", { from: "left" }), ["ok", {}]);
  assert.deepEqual(await atLeft.next(), { from: "left" }, "its own broadcast_from does not come back");
  assert.deepEqual(await atRight.next(), { from: "left" });
  right.channel.push("broadcast", { from: "right" });
  assert.deepEqual(await atLeft.next(), { from: "right" });
  assert.deepEqual(await atRight.next(), { from: "right" });
});

for (const size of [0, 1, 125, 65_536, 300_000]) {
  test(`${size} bytes are pushed and replied as bytes`, async () => {
    const { channel } = await join(await connect(), "bench:bytes");
    const bytes = pattern(size);
    assert.deepEqual(await push(channel, "binary", bytes), ["ok", bytes]);
    assert.deepEqual(await push(channel, "binary_err", bytes), ["error", bytes]);
    assert.deepEqual(await push(channel, "bin_to_json", bytes), ["ok", { size }]);
  });
}

test("bytes are pushed and broadcast by the server", async () => {
  const sender = await join(await connect(), "bench:bytes");
  const receiver = await join(await connect(), "bench:bytes");
  const [pushed, atReceiver] = [events(sender.channel, "pushed"), events(receiver.channel, "bin_msg")];
  const bytes = pattern(1000);
  sender.channel.push("bin_push", bytes);
  assert.deepEqual(await pushed.next(), bytes);
  sender.channel.push("bin_broadcast", bytes);
  assert.deepEqual(await atReceiver.next(), bytes);
  await server.post("/broadcast_bin?topic=bench:bytes&event=bin_msg", Buffer.from(bytes));
  assert.deepEqual(await atReceiver.next(), bytes);
});

for (const event of ["raise", "nosuch_event"]) {
  test(`a channel that crashes at "${event}" reports it and is joined again; other channels stay joined`, async () => {
    const socket = await connect();
    const { channel, joins } = await join(socket, "ping");
    const neighbour = await join(socket, "ping:neighbour");
    const [errors, neighbourErrors] = [errorsOf(channel), errorsOf(neighbour.channel)];
    channel.push(event);
    assert.deepEqual(await errors.next(), { reason: "channel_crash" });
    await joins.next();
    assert.deepEqual(await push(channel, "ping"), ["ok", { ping: "pong" }]);
    assert.deepEqual(await push(neighbour.channel, "ping"), ["ok", { ping: "pong" }]);
    assert.equal(neighbourErrors.size, 0);
  });
}

test("a channel that stops replies, closes, and can be joined again", async () => {
  const socket = await connect();
  const { channel } = await join(socket, "ping");
  const closed = new Inbox("phx_close");
  channel.onClose(closed.push);
  assert.deepEqual(await push(channel, "pang"), ["ok", { msg: "shutting down" }]);
  await closed.next();
  const again = await join(socket, "ping");
  assert.deepEqual(await push(again.channel, "ping"), ["ok", { ping: "pong" }]);
});

for (const signal of ["SIGKILL", "SIGTERM"]) {
  test(`a server that ends by ${signal} and starts again is reconnected and rejoined within the client's schedule`, async () => {
    const socket = await connect();
    const [first, second] = [await join(socket, "ping"), await join(socket, "bench:room")];
    const closes = new Inbox("the connection to close");
    socket.onClose(closes.push);
    await server.kill(signal);
    const { code } = await closes.next();
    if (signal === "SIGTERM") assert.equal(code, 1012);
    await server.start();
    const started = Date.now();
    await Promise.all([first.joins.next(), second.joins.next()]);
    const took = Date.now() - started;
    assert.ok(took < RECONNECT_MS.at(-1) + REJOIN_MS.at(-1) + SLACK_MS, `rejoined after ${took} ms`);
    assert.deepEqual(await push(first.channel, "ping"), ["ok", { ping: "pong" }]);
    const received = events(second.channel, "msg");
    second.channel.push("broadcast", { after: signal });
    assert.deepEqual(await received.next(), { after: signal });
  });
}

test("a token by subprotocol authenticates, and decides which user:* joins", async () => {
  const socket = await connect("/auth_token_socket", { authToken: await server.get("/token?id=1") });
  assert.equal(socket.conn.protocol, "phoenix");
  await join(socket, "user:1");
  const { status, response } = await tryJoin(socket, "user:2");
  assert.deepEqual([status, response], ["error", { reason: "unauthorized" }]);
});

test("a token in the connect params authenticates", async () => {
  const socket = await connect("/auth_socket", { params: { token: await server.get("/token?id=7") } });
  await join(socket, "user:7");
});

for (const [what, path, options] of [
  ["a wrong token by subprotocol", "/auth_token_socket", async () => ({ authToken: "wrong" })],
  ["no token where one is due by subprotocol", "/auth_token_socket", async () => ({})],
  ["a token that is too old by subprotocol", "/auth_token_socket", async () => ({ authToken: await server.get("/token_old?id=1") })],
  ["a wrong token in the params", "/auth_socket", async () => ({ params: { token: "wrong" } })],
]) {
  test(`${what} is refused with 403`, async () => {
    const socket = newSocket(path, await options());
    const [errors, opens] = [new Inbox("the refusal"), new Inbox("open")];
    socket.onError(errors.push);
    socket.onOpen(opens.push);
    socket.connect();
    const { message } = await errors.next();
    assert.match(message, /\b403\b/);
    assert.equal(opens.size, 0);
  });
}

test("a leave has a reply and ends the broadcasts, and the topic can be joined again", async () => {
  const socket = await connect();
  const { channel } = await join(socket, "bench:room");
  const gone = events(channel, "msg");
  const [status] = await within(outcome(channel.leave()), "the answer to the leave");
  assert.equal(status, "ok");
  await server.broadcast("bench:room", "msg", { n: 1 });
  const again = await join(socket, "bench:room");
  const received = events(again.channel, "msg");
  await server.broadcast("bench:room", "msg", { n: 2 });
  assert.deepEqual(await received.next(), { n: 2 });
  assert.equal(gone.size, 0);
});

test("after a leave and a join without a wait the new channel is joined", async () => {
  const socket = await connect();
  const { channel } = await join(socket, "ping");
  channel.leave();
  const again = await join(socket, "ping");
  assert.deepEqual(await push(again.channel, "ping"), ["ok", { ping: "pong" }]);
});

test("fifty topics share one connection, each with its own replies and broadcasts", async () => {
  const socket = await connect();
  const topics = Array.from({ length: 50 }, (_, n) => `bench:${n}`);
  const joined = await Promise.all(topics.map((topic) => join(socket, topic)));
  const inboxes = joined.map(({ channel }) => events(channel, "msg"));
  const answers = await Promise.all(joined.map(({ channel }) => push(channel, "echo", { topic: channel.topic })));
  assert.deepEqual(answers, topics.map((topic) => ["ok", { topic }]));
  for (const { channel } of joined) channel.push("broadcast", { topic: channel.topic });
  assert.deepEqual(await Promise.all(inboxes.map((inbox) => inbox.next())), topics.map((topic) => ({ topic })));
  assert.deepEqual(inboxes.map((inbox) => inbox.size), topics.map(() => 0));
});

test("heartbeats keep a connection open past the server's timeout of one second", async () => {
  const socket = newSocket("/short_socket", { heartbeatIntervalMs: 300 });
  const [closes, answers] = [new Inbox("close"), new Inbox("an answer to a heartbeat")];
  socket.onClose(closes.push);
  socket.onMessage((message) => { if (message.topic === "phoenix") answers.push(message); });
  await opened(socket);
  for (let n = 0; n < 8; n += 1) await answers.next();
  assert.equal(closes.size, 0);
  assert.equal(socket.isConnected(), true);
});

test("a connection without heartbeats is closed, and the client reconnects", async () => {
  const socket = newSocket("/short_socket", { heartbeatIntervalMs: 60_000 });
  const closes = new Inbox("the idle connection to be closed");
  socket.onClose(closes.push);
  await opened(socket);
  const reopened = new Inbox("the client to reconnect");
  socket.onOpen(reopened.push);
  assert.notEqual((await closes.next()).code, 1000);
  await reopened.next();
});

test("disconnecting a socket id closes only its connections, with 1001, and the client reconnects", async () => {
  const [mine, other] = [await connect("/socket", { params: { id: "7" } }), await connect("/socket", { params: { id: "8" } })];
  const { joins } = await join(mine, "ping");
  const { channel } = await join(other, "ping");
  const [closes, otherCloses] = [new Inbox("the connection to be closed"), new Inbox("close")];
  mine.onClose(closes.push);
  other.onClose(otherCloses.push);
  await server.post("/disconnect?id=user_socket:7");
  assert.equal((await closes.next()).code, 1001);
  await joins.next();
  assert.deepEqual(await push(channel, "ping"), ["ok", { ping: "pong" }]);
  assert.equal(otherCloses.size, 0);
});

test("a round trip by the client's own ping is measured", async () => {
  const socket = await connect();
  const rtt = await within(new Promise((resolve) => socket.ping(resolve)), "the ping");
  assert.ok(rtt >= 0);
});

function newSocket(path, options = {}) {
  const socket = new Socket(server.ws + path, {
    transport: WebSocket,
    ...HURRY,
    ...options,
  });
  sockets.push(socket);
  return socket;
}

function connect(path = "/socket", options = {}) {
  return opened(newSocket(path, options));
}
