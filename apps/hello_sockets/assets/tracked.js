// The entry point of the page of present users: it joins `tracked`, keeps the official client's `Presence`, and draws
// its list after each change.

import { clock, meta } from "/assets/page.js";
import { Presence } from "/assets/phoenix.mjs";
import { LiveChannel } from "./channels.js";
import { LoggedConnection } from "./connections.js";
import { offerCopies } from "./copy.js";

const userId = meta("user-id");

// This page has no log.
const silence = { frame() {}, note() {} };
const authSocket = new LoggedConnection("auth_socket", "auth-socket", silence, () => ({ token: meta("auth-token") }));
const card = document.querySelector('[data-channel="tracked"]');
const tracked = new LiveChannel(authSocket, "tracked", card, silence, {}, follow);

offerCopies();
authSocket.connect();
tracked.join();

// A `Presence` belongs to one channel object; after a rejoin it starts with the server's new state.
function follow(channel) {
  const presence = new Presence(channel);
  presence.onSync(() => draw(presence.list((user, { metas }) => ({ user, metas }))));
}

function draw(users) {
  users.sort((a, b) => (a.user.length - b.user.length) || (a.user < b.user ? -1 : 1));
  document.querySelector("#users").replaceChildren(...users.map(row));
  const metas = users.flatMap((user) => user.metas);
  const nodes = new Set(metas.map(({ node }) => node)).size;
  const count = document.querySelector("#users-count");
  Object.assign(count.dataset, { users: users.length, metas: metas.length, nodes });
  count.textContent =
    `${number(users.length, "user")}, joined ${times(metas.length)}, at ${number(nodes, "node")}. Last change at ${clock()}.`;
}

function row({ user, metas }) {
  const item = document.querySelector("#user-row").content.firstElementChild.cloneNode(true);
  Object.assign(item.dataset, { user, count: metas.length });
  const name = item.querySelector(".user-name");
  name.textContent = `User ${user}`;
  if (user === userId) {
    item.dataset.me = "";
    name.append(" (you)");
  }
  const since = Math.min(...metas.map(({ online_at }) => online_at));
  item.querySelector(".since").textContent = `since ${clock(new Date(since * 1000))}`;
  const count = item.querySelector(".count");
  count.hidden = metas.length === 1;
  count.textContent = times(metas.length);
  item.querySelector(".nodes").append(...byNode(metas).map(chip));
  return item;
}

function byNode(metas) {
  const counts = new Map();
  for (const { node } of metas) counts.set(node, (counts.get(node) ?? 0) + 1);
  return [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
}

function chip([node, count]) {
  const item = document.createElement("li");
  Object.assign(item.dataset, { node, count });
  item.textContent = count === 1 ? node : `${node} × ${count}`;
  return item;
}

function number(count, noun) {
  return `${count} ${count === 1 ? noun : `${noun}s`}`;
}

function times(count) {
  return count === 1 ? "once" : `${count} times`;
}
