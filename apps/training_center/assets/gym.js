// The connection of a live page, and its channel. The scripts of both pages, participant.js and trainer.js, begin here.

import { Socket } from "/assets/phoenix.mjs";
import { connect, meta } from "/assets/page.js";

export const $ = (selector) => document.querySelector(selector);

/**
 * Connects, and returns the channel of the session that the page shows. The page joins it.
 * @param {string} id of the session
 * @returns {Channel}
 */
export function openSession(id) {
  const connection = connect("/socket", {
    Socket,
    params: () => ({ token: meta("user-token"), _csrf_token: meta("csrf-token") }),
    labels: { connecting: "connecting", open: "live", retry: "trying again", refused: "signed out", off: "not live" },
  });
  return connection.socket.channel(`training_session:${id}`);
}

/** Joins a channel, and shows the reason of a refusal until a later attempt succeeds. */
export function join(channel) {
  return channel.join()
    .receive("ok", () => showProblem(""))
    .receive("error", ({ reason }) => showProblem(`You are not in this session: ${reason}.`));
}

/** Shows a problem in words; an empty text ends it. */
export function showProblem(text) {
  if ($("#problem").textContent !== text) $("#problem").textContent = text;
}

/** Writes a text that screen readers announce. */
export function announce(text) {
  $("#announce").textContent = text;
}
