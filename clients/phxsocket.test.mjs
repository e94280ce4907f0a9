// The PyPI client `phxsocket`, which uses V1 with numeric refs and without join_ref. The dialogues are in
// `phxsocket_client.py`; each runs in a process of its own.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Server, python } from "./harness.mjs";

let server;
before(async () => { server = await Server.start(); });
after(() => server.kill());

for (const [name, dialogue] of [
  ["joins with params", "joins"],
  ["is refused with the channel's reason, and stays connected", "is_refused"],
  ["pushes and receives ok and error replies", "pushes"],
  ["receives broadcasts, also intercepted ones", "receives_events"],
  ["reaches another client", "reaches_another_client"],
  ["receives the crash of its channel and joins again", "survives_a_crash"],
  ["leaves, receives the close, and joins again", "leaves"],
  ["authenticates with a token, and is refused without a valid one", "authenticates"],
  ["stays connected past the server's timeout by its heartbeats", "keeps_its_heartbeat"],
]) {
  test(`phxsocket ${name}`, async () => {
    const { code, output } = await python("phxsocket_client.py", [server.ws, server.http, dialogue]);
    assert.equal(code, 0, output);
  });
}
