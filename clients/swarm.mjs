// node swarm.mjs URL FIRST COUNT ROOM: COUNT official clients, numbered from FIRST, each in its room of ROOM with its
// presence. Prints a line for each event of a client, which bench/deploy parses.

import { Presence, Socket } from "phoenix";
import WebSocket from "ws";

const [url, ...numbers] = process.argv.slice(2);
const [first, count, room] = numbers.map(Number);
const say = (...words) => process.stdout.write(words.join(" ") + "\n");

for (let client = first; client < first + count; client += 1) {
  const socket = new Socket(url, { transport: WebSocket });
  const channel = socket.channel(`presence:${Math.floor(client / room)}`, { user: `u${client}` });
  const presence = new Presence(channel);
  const absentSince = new Map();
  let openedAt = Date.now();

  socket.onOpen(() => { openedAt = Date.now(); });
  socket.onClose(() => say("interrupted", client));
  presence.onLeave((name, current) => {
    if (current.metas.length === 0) absentSince.set(name, Date.now());
  });
  presence.onJoin((name) => {
    if (absentSince.has(name)) say("absence", Date.now() - absentSince.get(name));
    absentSince.delete(name);
  });
  presence.onSync(() => say("sees", client, presence.list().length));
  channel.on("marker", ({ n }) => say("marked", client, n));
  // The client uses this callback for every join, later ones included.
  channel.join().receive("ok", () => say("joined", client, Date.now() - openedAt));
  socket.connect();
}
