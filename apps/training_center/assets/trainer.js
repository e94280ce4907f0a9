// The trainer's page and the projector: the grid as the server draws it, with each person online or offline by Presence.

import { Presence } from "/assets/phoenix.mjs";
import { $, join, openSession } from "./gym.js";
import { redraw } from "./redraw.js";

const grid = $("#grid");
const channel = openSession(grid.dataset.session);
const presence = new Presence(channel);

presence.onSync(showOnline);
channel.on("status_updated", ({ html }) => {
  redraw(grid, html);
  showOnline();
  showWorkout();
});
join(channel);

/** Shows in each row whether the person is online, and with how many tabs: each of them has an entry in `metas`. */
function showOnline() {
  // After a reconnect the old list counts no more, and the new one is on its way.
  if (presence.inPendingSyncState()) return;
  const tabs = new Map(presence.list((name, { metas }) => [name, metas.length]));
  const rows = [...grid.querySelectorAll("[data-person]")];
  for (const row of rows) {
    const count = tabs.get(row.dataset.person) ?? 0;
    row.dataset.online = count > 0;
    row.dataset.tabs = count;
    const pill = row.querySelector(".pill");
    pill.dataset.state = count > 0 ? "open" : "off";
    pill.textContent = count > 1 ? `online, ${count} tabs` : count > 0 ? "online" : "offline";
  }
  const online = rows.filter((row) => row.dataset.online === "true").length;
  $("#online").dataset.online = online;
  $("#online").textContent = `${online} of ${rows.length} online`;
}

/** Shows the exercises of the drawing in the form too, unless the trainer is changing them there. */
function showWorkout() {
  const field = $("#workout");
  const exercises = [...grid.querySelectorAll("thead [data-exercise]")].map((head) => head.dataset.exercise);
  if (!field || exercises.length === 0 || field.value !== field.defaultValue) return;
  field.defaultValue = exercises.join("\n") + "\n";
}
