// Code that the tests of the official client share: joins, pushes and events as promises.

import assert from "node:assert/strict";
import { Inbox, within } from "./harness.mjs";

// Shorter than the default of 10 s only so that the timers of pushes without a reply do not outlive the tests.
export const CLIENT_TIMEOUT_MS = 5_000;
export const RECONNECT_MS = [100, 200];
export const REJOIN_MS = [100, 200];

/** Options with which a socket reconnects sooner than by default. */
export const HURRY = {
  timeout: CLIENT_TIMEOUT_MS,
  reconnectAfterMs: (tries) => RECONNECT_MS[tries - 1] ?? RECONNECT_MS.at(-1),
  rejoinAfterMs: (tries) => REJOIN_MS[tries - 1] ?? REJOIN_MS.at(-1),
};

/** Connects and resolves once the socket is open. */
export async function opened(socket) {
  const open = new Promise((resolve, reject) => {
    socket.onOpen(resolve);
    socket.onError((error) => reject(new Error(`connecting failed: ${error.message}`)));
  });
  socket.connect();
  await within(open, "the connection to open");
  return socket;
}

/** Joins. `joins` receives a value for every rejoin, which is every join after the first. */
export async function join(socket, topic, params = {}) {
  const channel = socket.channel(topic, params);
  const joins = new Inbox(`${topic} to be joined again`);
  const first = outcome(channel.join());
  const [status, response] = await within(first, `the join of ${topic}`);
  assert.equal(status, "ok", `join of ${topic}: ${JSON.stringify(response)}`);
  let isFirst = true;
  channel.joinPush.receive("ok", (payload) => {
    if (!isFirst) joins.push(payload);
    isFirst = false;
  });
  return { channel, response, joins };
}

/** Joins once and leaves after a refusal, since the client would repeat the join. */
export async function tryJoin(socket, topic) {
  const channel = socket.channel(topic);
  const [status, response] = await within(outcome(channel.join()), `the join of ${topic}`);
  channel.leave();
  return { status, response };
}

export function push(channel, event, payload = {}, timeoutMs = CLIENT_TIMEOUT_MS) {
  return within(outcome(channel.push(event, payload, timeoutMs)), `the answer to ${event}`);
}

export function outcome(clientPush) {
  return new Promise((resolve) => {
    for (const status of ["ok", "error", "timeout"]) {
      clientPush.receive(status, (response) => resolve([status, response]));
    }
  });
}

export function events(channel, event) {
  const inbox = new Inbox(`${event} on ${channel.topic}`);
  channel.on(event, inbox.push);
  return inbox;
}

export function errorsOf(channel) {
  const inbox = new Inbox(`phx_error on ${channel.topic}`);
  channel.onError(inbox.push);
  return inbox;
}

export function pattern(size) {
  return Uint8Array.from({ length: size }, (_, n) => (n * 31 + 7) % 256).buffer;
}
