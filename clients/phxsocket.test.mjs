// The PyPI client `phxsocket`, which speaks V1 with numbers as refs and no join_ref. The dialogues are in
// `phxsocket_client.py`; each runs in a process of its own.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Server, python } from "./harness.mjs";

let server;
before(async () => { server = await Server.start(); });
after(() => server.kill());

for (const [name, dialogue] of [
  ["joins with params", "joins"],
  ["is refused with the channel's reason, and goes on", "is_refused"],
  ["pushes and is answered ok and error", "pushes"],
  ["receives broadcasts, also intercepted ones", "receives_events"],
  ["reaches another client", "reaches_another_client"],
  ["is told of a crash and joins again", "survives_a_crash"],
  ["leaves, is told so, and joins again", "leaves"],
  ["authenticates with a token, and is refused without a good one", "authenticates"],
  ["stays connected past the server's timeout by its heartbeats", "keeps_its_heartbeat"],
]) {
  test(`phxsocket ${name}`, async () => {
    const { code, output } = await python("phxsocket_client.py", [server.ws, server.http, dialogue]);
    assert.equal(code, 0, output);
  });
}
