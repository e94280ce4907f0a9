// The taps of a participant: which state each exercise shall have. A tap waits here until the server has confirmed it.
//
// The waiting taps are in the tab's session storage, so they outlive a reload. They are sent again after each join, and
// after a push without an answer: completing an exercise twice has the result of once. The last tap on an exercise wins.

const EVENTS = { done: "complete_exercise", open: "undo_exercise" };

/** The server's answer to a push while the channel is not joined there. The page joins it again. */
const NOT_JOINED = "unmatched topic";

/** The taps. They send the events `confirmed` and `refused`, with `{ name, state, reason }` in `detail`. */
export class Taps extends EventTarget {
  #channel;
  #key;
  #waiting;

  /**
   * @param {Channel} channel of the session
   * @param {string} key of the waiting taps in the session storage
   */
  constructor(channel, key) {
    super();
    this.#channel = channel;
    this.#key = key;
    // The values are objects, so that an answer to an older tap is not mistaken for one to the last.
    this.#waiting = new Map(JSON.parse(sessionStorage.getItem(key) ?? "[]"));
  }

  /** The number of exercises whose last tap waits. */
  get count() {
    return this.#waiting.size;
  }

  /** Returns the state that an exercise shall have, `done` or `open`; undefined when no tap on it waits. */
  wanted(name) {
    return this.#waiting.get(name)?.state;
  }

  /** Adds a tap, and sends it. */
  add(name, state) {
    this.#waiting.set(name, { state });
    this.#store();
    this.#send(name);
  }

  /** Sends all that wait, in their order. */
  sendAll() {
    for (const name of this.#waiting.keys()) this.#send(name);
  }

  #send(name) {
    const tap = this.#waiting.get(name);
    if (!tap || this.#channel.state !== "joined") return;
    this.#channel.push(EVENTS[tap.state], { name })
      .receive("ok", () => this.#end(name, tap, "confirmed"))
      .receive("error", ({ reason }) => reason !== NOT_JOINED && this.#end(name, tap, "refused", reason))
      .receive("timeout", () => this.#waiting.get(name) === tap && this.#send(name));
  }

  #end(name, tap, type, reason) {
    if (this.#waiting.get(name) !== tap) return;
    this.#waiting.delete(name);
    this.#store();
    this.dispatchEvent(new CustomEvent(type, { detail: { name, state: tap.state, reason } }));
  }

  #store() {
    sessionStorage.setItem(this.#key, JSON.stringify([...this.#waiting]));
  }
}
