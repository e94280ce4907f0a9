// The official client (npm `phoenix`) in Node with long polling: by configuration, and behind a proxy without
// WebSocket.

import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { LongPoll, Socket } from "phoenix";
import WebSocket from "ws";
import { Inbox, Server, within } from "./harness.mjs";
import { HURRY, errorsOf, events, join, opened, outcome, pattern, push, tryJoin } from "./official.mjs";
import { Proxy } from "./proxy.mjs";

let server;
let sockets = [];

before(async () => { server = await Server.start(); });
after(() => server.kill());
afterEach(() => {
  for (const socket of sockets) socket.disconnect();
  sockets = [];
});

describe("configured for long polling", () => {
  const connect = (path = "/socket", options = {}) => opened(newSocket(server.ws + path, { transport: LongPoll, ...options }));

  test("a join has a reply, pushes have ok and error replies, and a push without a reply times out", async () => {
    const { channel } = await join(await connect(), "ping");
    assert.deepEqual(await push(channel, "ping", { ack_phrase: "hooray!" }), ["ok", { ping: "hooray!" }]);
    assert.deepEqual(await push(channel, "param_ping", { error: true }), ["error", { reason: "You asked for this!" }]);
    assert.equal((await push(channel, "pong", {}, 100))[0], "timeout");
    assert.deepEqual(await push(channel, "async_reply"), ["ok", { later: true }]);
  });

  test("a refused join gives the channel's reason, and a topic without a channel is unmatched", async () => {
    const socket = await connect();
    assert.deepEqual(await tryJoin(socket, "deny:lobby"), { status: "error", response: { reason: "denied" } });
    assert.deepEqual(await tryJoin(socket, "nosuch:topic"), { status: "error", response: { reason: "unmatched topic" } });
  });

  test("250 pushes at once are all handled in order", async () => {
    const { channel } = await join(await connect(), "bench:room");
    const echoes = Array.from({ length: 250 }, (_, n) => push(channel, "echo", { n }));
    const answered = new Inbox("an answer");
    echoes.forEach((echo) => echo.then(([, { n }]) => answered.push(n)));
    assert.deepEqual(await Promise.all(echoes), Array.from({ length: 250 }, (_, n) => ["ok", { n }]));
    for (let n = 0; n < 250; n += 1) assert.equal(await answered.next(), n);
  });

  test("100 broadcasts arrive in order, each once, also at a client with a WebSocket", async () => {
    const polling = await join(await connect(), "bench:room");
    const other = await join(await opened(newSocket(`${server.ws}/socket`, { transport: WebSocket })), "bench:room");
    const inboxes = [polling, other].map(({ channel }) => events(channel, "msg"));
    for (let n = 0; n < 100; n += 1) other.channel.push("broadcast", { n });
    for (const inbox of inboxes) {
      for (let n = 0; n < 100; n += 1) assert.deepEqual(await inbox.next(), { n });
      assert.equal(inbox.size, 0);
    }
  });

  test("bytes are pushed as bytes, and the channel's reply has their count", async () => {
    const { channel } = await join(await connect(), "bench:bytes");
    for (const size of [0, 1, 65_536, 300_000]) {
      assert.deepEqual(await push(channel, "bin_to_json", pattern(size)), ["ok", { size }]);
    }
  });

  test("a crashed channel reports it and is joined again; other channels stay joined", async () => {
    const socket = await connect();
    const { channel, joins } = await join(socket, "ping");
    const neighbour = await join(socket, "ping:neighbour");
    const [errors, neighbourErrors] = [errorsOf(channel), errorsOf(neighbour.channel)];
    channel.push("raise");
    assert.deepEqual(await errors.next(), { reason: "channel_crash" });
    await joins.next();
    assert.deepEqual(await push(channel, "ping"), ["ok", { ping: "pong" }]);
    assert.deepEqual(await push(neighbour.channel, "ping"), ["ok", { ping: "pong" }]);
    assert.equal(neighbourErrors.size, 0);
  });

  test("a leave has a reply, and the topic can be joined again", async () => {
    const socket = await connect();
    const { channel } = await join(socket, "ping");
    assert.equal((await within(outcome(channel.leave()), "the answer to the leave"))[0], "ok");
    const again = await join(socket, "ping");
    assert.deepEqual(await push(again.channel, "ping"), ["ok", { ping: "pong" }]);
  });

  for (const signal of ["SIGKILL", "SIGTERM"]) {
    test(`a server that ends by ${signal} and starts again is reconnected and rejoined`, async () => {
      const socket = await connect();
      const { channel, joins } = await join(socket, "ping");
      const closes = new Inbox("the connection to close");
      socket.onClose(closes.push);
      await server.kill(signal);
      await closes.next();
      await server.start();
      await joins.next();
      assert.deepEqual(await push(channel, "ping"), ["ok", { ping: "pong" }]);
    });
  }

  test("disconnecting a socket id ends its session at once, and the client reconnects", async () => {
    const socket = await connect("/socket", { params: { id: "lp7" } });
    const { joins } = await join(socket, "ping");
    const closes = new Inbox("the session to end");
    socket.onClose(closes.push);
    await server.post("/disconnect?id=user_socket:lp7");
    assert.equal((await closes.next()).code, 3410);
    await joins.next();
  });

  test("no message is lost between windows of one second", async () => {
    const socket = await connect("/short_socket");
    const { channel } = await join(socket, "ping");
    const [closes, news] = [new Inbox("close"), events(channel, "news")];
    socket.onClose(closes.push);
    for (let n = 0; n < 30; n += 1) {
      await server.broadcast("ping", "news", { n });
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    for (let n = 0; n < 30; n += 1) assert.deepEqual(await news.next(), { n });
    assert.equal(closes.size, 0);
  });

  test("a token by header authenticates, and decides which user:* joins; a wrong one is refused", async () => {
    const socket = await connect("/auth_token_socket", { authToken: await server.get("/token?id=1") });
    await join(socket, "user:1");
    assert.deepEqual(await tryJoin(socket, "user:2"), { status: "error", response: { reason: "unauthorized" } });
    const refused = newSocket(`${server.ws}/auth_token_socket`, { transport: LongPoll, authToken: "wrong" });
    const closes = new Inbox("the refusal");
    refused.onClose(closes.push);
    refused.connect();
    const { code, reason } = await closes.next();
    assert.deepEqual([code, reason], [1008, "forbidden"]);
  });
});

describe("behind an nginx without WebSocket", () => {
  let proxy;
  before(async () => { proxy = await Proxy.start(server.port); });
  after(() => proxy.stop());

  // The client's memory of a fallback, in place of a browser's sessionStorage.
  function memory() {
    const items = new Map();
    return { items, getItem: (key) => items.get(key) ?? null, setItem: (key, value) => items.set(key, value) };
  }

  function fallingBack(sessionStorage) {
    return newSocket(`${proxy.ws}/socket`, { transport: WebSocket, longPollFallbackMs: 1000, sessionStorage });
  }

  test("the client falls back, joins, pushes and receives broadcasts", async () => {
    const store = memory();
    const socket = fallingBack(store);
    socket.connect();
    const { channel } = await join(socket, "bench:room");
    assert.equal(socket.transport, LongPoll);
    assert.deepEqual(await push(channel, "echo", { n: 1 }), ["ok", { n: 1 }]);
    const received = events(channel, "msg");
    for (let n = 0; n < 20; n += 1) await server.broadcast("bench:room", "msg", { n });
    for (let n = 0; n < 20; n += 1) assert.deepEqual(await received.next(), { n });
    assert.equal(store.getItem("phx:fallback:LongPoll"), "true", "and remembers it");
  });

  test("a client with a stored fallback long polls from the start, and survives the server's restart", async () => {
    const store = memory();
    store.setItem("phx:fallback:LongPoll", "true");
    const socket = fallingBack(store);
    socket.connect();
    const { channel, joins } = await join(socket, "ping");
    assert.equal(socket.transport, LongPoll);
    await server.kill();
    await server.start();
    await joins.next();
    assert.deepEqual(await push(channel, "ping"), ["ok", { ping: "pong" }]);
  });

  test("without the proxy the same client keeps its WebSocket", async () => {
    const socket = newSocket(`${server.ws}/socket`, { transport: WebSocket, longPollFallbackMs: 1000, sessionStorage: memory() });
    socket.connect();
    const { channel } = await join(socket, "ping");
    assert.equal(socket.transport, WebSocket);
    assert.deepEqual(await push(channel, "ping"), ["ok", { ping: "pong" }]);
  });
});

function newSocket(url, options) {
  const socket = new Socket(url, { ...HURRY, ...options });
  sockets.push(socket);
  return socket;
}
