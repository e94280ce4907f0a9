// `@supabase/realtime-js`, which has a socket, heartbeat, channel, push and serializer of its own, for V1 and V2.
//
// Its `client.channel(name)` adds the prefix `realtime:` to every name. The prefix is Supabase's naming and not part of
// the protocol, so these tests create channels with the exported `RealtimeChannel`, on topics of this server. Over V2,
// its `channel.send({ type: "broadcast" })` uses a binary message kind that only Supabase's server supports; over V1 it
// is a plain push, which is tested here. From 2.100 on the package wraps a copy of the official client, which
// `official.test.mjs` covers, so an older release is pinned.

import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import realtime from "@supabase/realtime-js";
import WebSocket from "ws";
import { Inbox, Server, within } from "./harness.mjs";

const { RealtimeChannel, RealtimeClient } = realtime;
// Shorter than the default of 10 s only so that the timers of pushes without a reply do not outlive the tests.
const CLIENT_TIMEOUT_MS = 5_000;
const RECONNECT_MS = 100;

let server;
let clients = [];

before(async () => { server = await Server.start(); });
after(() => server.kill());
afterEach(() => {
  for (const client of clients) client.disconnect();
  clients = [];
});

for (const vsn of ["1.0.0", "2.0.0"]) {
  const over = `over ${vsn}`;

  test(`${over}, a join has an ok reply, and its params reach the channel`, async () => {
    const { channel } = await subscribe(newClient(vsn), "reply:lobby");
    const { topic, got } = channel.joinPush.receivedResp.response;
    assert.equal(topic, "reply:lobby");
    assert.deepEqual(got.config.broadcast, { ack: false, self: false });
  });

  test(`${over}, a refused join is a channel error with the server's reason`, async () => {
    const statuses = new Inbox("the refusal");
    const channel = open(newClient(vsn), "deny:lobby");
    channel.subscribe((status, error) => statuses.push([status, error?.message]));
    assert.deepEqual(await statuses.next(), ["CHANNEL_ERROR", '"denied"']);
  });

  test(`${over}, pushes have ok and error replies`, async () => {
    const { channel } = await subscribe(newClient(vsn), "ping");
    assert.deepEqual(await push(channel, "ping", {}), ["ok", { ping: "pong" }]);
    assert.deepEqual(await push(channel, "param_ping", { error: true }), ["error", { reason: "You asked for this!" }]);
    assert.deepEqual(await push(channel, "param_ping", { arr: [1, 2] }), ["ok", { arr: [1, 2] }]);
  });

  test(`${over}, a push without a reply times out in the client`, async () => {
    const { channel } = await subscribe(newClient(vsn), "ping");
    assert.equal((await push(channel, "pong", {}, 100))[0], "timeout");
    assert.deepEqual(await push(channel, "ping", {}), ["ok", { ping: "pong" }]);
  });

  test(`${over}, a broadcast arrives at its listeners, and an intercepted one with the channel's changes`, async () => {
    const { channel } = await subscribe(newClient(vsn), "ping");
    const [hello, sendPing] = [new Inbox("broadcast"), new Inbox("send_ping")];
    channel.on("broadcast", { event: "hello" }, hello.push);
    channel.on("send_ping", {}, sendPing.push);
    await server.broadcast("ping", "broadcast", { type: "broadcast", event: "hello", payload: { n: 1 } });
    assert.deepEqual((await hello.next()).payload, { n: 1 });
    await server.broadcast("ping", "request_ping", {});
    assert.deepEqual(await sendPing.next(), { from_node: "nonode@nohost" });
  });

  test(`${over}, two clients broadcast to each other`, async () => {
    const left = await subscribe(newClient(vsn), "bench:room");
    const right = await subscribe(newClient(vsn), "bench:room");
    const received = new Inbox("msg");
    right.channel.on("msg", {}, received.push);
    left.channel._push("broadcast_from", { n: 1 });
    assert.deepEqual(await received.next(), { n: 1 });
  });

  test(`${over}, a crashed channel is an error and is joined again; other channels stay joined`, async () => {
    const client = newClient(vsn);
    const { channel, statuses } = await subscribe(client, "ping");
    const neighbour = await subscribe(client, "ping:neighbour");
    channel._push("raise", {});
    assert.equal(await statuses.next(), "CHANNEL_ERROR");
    assert.equal(await statuses.next(), "SUBSCRIBED");
    assert.deepEqual(await push(channel, "ping", {}), ["ok", { ping: "pong" }]);
    assert.deepEqual(await push(neighbour.channel, "ping", {}), ["ok", { ping: "pong" }]);
    assert.equal(neighbour.statuses.size, 0);
  });

  test(`${over}, an unsubscribe has a reply, and the topic can be subscribed again`, async () => {
    const client = newClient(vsn);
    const { channel, statuses } = await subscribe(client, "ping");
    assert.equal(await within(channel.unsubscribe(), "the answer to the leave"), "ok");
    assert.equal(await statuses.next(), "CLOSED");
    const again = await subscribe(client, "ping");
    assert.deepEqual(await push(again.channel, "ping", {}), ["ok", { ping: "pong" }]);
  });

  test(`${over}, heartbeats have replies and keep the connection open past the server's timeout of one second`, async () => {
    const beats = new Inbox("a heartbeat");
    const client = newClient(vsn, "/short_socket", {
      heartbeatIntervalMs: 300,
      heartbeatCallback: (status) => { if (status !== "sent") beats.push(status); },
    });
    const { statuses } = await subscribe(client, "ping");
    for (let n = 0; n < 8; n += 1) assert.equal(await beats.next(), "ok");
    assert.equal(statuses.size, 0);
  });

  test(`${over}, a server that is killed and starts again is reconnected and rejoined`, async () => {
    const { channel, statuses } = await subscribe(newClient(vsn), "ping");
    await server.kill();
    assert.equal(await statuses.next(), "CHANNEL_ERROR");
    await server.start();
    await statuses.nextWhere((status) => status === "SUBSCRIBED");
    assert.deepEqual(await push(channel, "ping", {}), ["ok", { ping: "pong" }]);
  });
}

test("over 1.0.0, the client's own broadcast call is a push like any other", async () => {
  const left = await subscribe(newClient("1.0.0"), "bench:room");
  const right = await subscribe(newClient("2.0.0"), "bench:room");
  const received = new Inbox("msg");
  right.channel.on("msg", {}, received.push);
  await left.channel.send({ type: "broadcast", event: "hello", payload: { n: 1 } });
  assert.deepEqual(await received.next(), { type: "broadcast", event: "hello", payload: { n: 1 } });
});

test("the client's own prefixed topic is refused as unmatched, and the connection stays open", async () => {
  const client = newClient("2.0.0");
  const statuses = new Inbox("the refusal");
  client.channel("lobby").subscribe((status, error) => statuses.push([status, error?.message]));
  assert.deepEqual(await statuses.next(), ["CHANNEL_ERROR", '"unmatched topic"']);
  const { channel } = await subscribe(client, "ping");
  assert.deepEqual(await push(channel, "ping", {}), ["ok", { ping: "pong" }]);
});

function newClient(vsn, path = "/socket", options = {}) {
  const client = new RealtimeClient(server.ws + path, {
    transport: WebSocket,
    timeout: CLIENT_TIMEOUT_MS,
    vsn,
    params: { apikey: "none" },
    reconnectAfterMs: () => RECONNECT_MS,
    ...options,
  });
  clients.push(client);
  return client;
}

function open(client, topic) {
  const channel = new RealtimeChannel(topic, { config: {} }, client);
  client.channels.push(channel);
  return channel;
}

async function subscribe(client, topic) {
  const channel = open(client, topic);
  const statuses = new Inbox(`a status of ${topic}`);
  channel.subscribe(statuses.push);
  assert.equal(await statuses.next(), "SUBSCRIBED");
  return { channel, statuses };
}

function push(channel, event, payload, timeoutMs = CLIENT_TIMEOUT_MS) {
  const clientPush = channel._push(event, payload, timeoutMs);
  const outcome = new Promise((resolve) => {
    for (const status of ["ok", "error", "timeout"]) {
      clientPush.receive(status, (response) => resolve([status, response]));
    }
  });
  return within(outcome, `the answer to ${event}`);
}
