// A participant's page: the view that waits, the tiles, and the result, as the server draws them. A tap turns its tile at
// once; until the server has confirmed it, the tile shows the wanted state and not the one of the drawing.

import { $, announce, join, openSession, showProblem } from "./gym.js";
import { redraw } from "./redraw.js";
import { Taps } from "./taps.js";

const status = $("#status");
const channel = openSession(status.dataset.session);
const taps = new Taps(channel, `taps:${status.dataset.session}:${$("#name").textContent}`);

channel.on("participant_status", ({ html }) => {
  redraw(status, html);
  draw();
  stayAwake();
});
channel.on("training_session_started", () => signal("Your trainer has started the session."));
channel.on("training_session_ended", () => signal("The session has ended. Here is your result."));
join(channel).receive("ok", () => taps.sendAll());

taps.addEventListener("confirmed", ({ detail: { name, state } }) => {
  const tile = tiles().find((tile) => tile.dataset.exercise === name);
  if (tile) tile.dataset.confirmed = state;
  draw();
});
taps.addEventListener("refused", ({ detail: { name, reason } }) => {
  showProblem(`“${name}” was not saved: ${reason}.`);
  draw();
});

status.addEventListener("click", ({ target }) => {
  const tile = target.closest(".tile");
  if (!tile) return;
  showProblem("");
  taps.add(tile.dataset.exercise, tile.dataset.state === "done" ? "open" : "done");
  draw();
});

function tiles() {
  return [...status.querySelectorAll(".tile")];
}

/** Draws the taps that wait over the server's drawing, and the sums. */
function draw() {
  const all = tiles();
  if (all.length === 0) return;
  for (const tile of all) {
    const wanted = taps.wanted(tile.dataset.exercise);
    const state = wanted ?? tile.dataset.confirmed;
    tile.dataset.state = state;
    tile.toggleAttribute("data-unsent", wanted !== undefined);
    tile.setAttribute("aria-pressed", state === "done");
    tile.querySelector("small").textContent = state === "done" ? "done" : "to do";
  }
  const done = all.filter((tile) => tile.dataset.state === "done").length;
  $("#progress").textContent = `${done} of ${all.length} done`;
  $("#status progress").value = done;
  $("#unsent").dataset.count = taps.count;
  $("#unsent").textContent = taps.count ? `${taps.count} not sent yet` : "";
}

/** Announces a change of the phase, also to a hand that holds the phone. */
function signal(text) {
  announce(text);
  // Browsers refuse it before the first tap on the page.
  if (navigator.userActivation?.hasBeenActive) navigator.vibrate?.(200);
}

/** A promise of the lock on the screen. */
let lock;

/** Keeps the screen on while the session runs. The browser ends that whenever the page is hidden. */
async function stayAwake() {
  if (!status.querySelector("[data-phase=running]")) (await lock)?.release();
  else if (document.hidden) lock = undefined;
  // It is refused when the battery is low.
  else lock ??= navigator.wakeLock?.request("screen").catch(() => undefined);
}
document.addEventListener("visibilitychange", stayAwake);

draw();
stayAwake();
