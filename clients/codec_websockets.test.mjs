// The WebSocket codec of the server against PyPI `websockets`. The checks are in `codec_websockets.py`; each runs in
// a process of its own.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Server, python } from "./harness.mjs";

let server;
before(async () => { server = await Server.start(); });
after(() => server.kill());

const VARIANTS = [
  ["uncompressed", "plain"],
  ["compressed, as websockets offers it", "deflate"],
  ["compressed, without context takeover", "deflate_without_takeover"],
];
const CHECKS = [
  ["text from 0 bytes to 1 MiB is echoed", "text"],
  ["bytes from 0 to 1 MiB are echoed", "bytes"],
  ["messages in fragments are echoed, also with pings between them", "fragments"],
  ["200 messages in a row are echoed, each equal", "many"],
  ["pings have pongs with the same bytes", "pings"],
  ["a close is replied to with its code", "close"],
];

for (const [variantName, variant] of VARIANTS) {
  for (const [name, check] of CHECKS) run(`${variantName}: ${name}`, `${check}:${variant}`);
}
run("a message past the frame size limit is closed with 1009", "too_large");
run("compression is negotiated where the server enables it, and declined elsewhere", "negotiation");

function run(name, argument) {
  test(name, async () => {
    const { code, output } = await python("codec_websockets.py", [server.ws, server.http, argument]);
    assert.equal(code, 0, output);
  });
}
