// The connections: one Phoenix `Socket` each, its state on the page, and every frame of it in the log.
//
// It owns the sockets and their state cells. `channels.js` opens channels on `connection.socket`; this file is
// independent of them.

import { LongPoll, Serializer, Socket } from "/assets/phoenix.mjs";

// The time limit for a WebSocket's connect, after which the client uses long polling: the value that phoenix.js
// suggests.
const LONG_POLL_FALLBACK_MS = 2500;

const LABELS = { connecting: "Connecting", open: "Connected", reconnecting: "Reconnecting", closed: "Disconnected" };

export class Connection {
  #log;
  #stateCell;
  #detailCell;
  #toggle;
  #state = "connecting";
  #lostTries = 0;
  #wasOpen = false;

  /**
   * @param {string} name     the socket's path without the slash, which is also its name in the log
   * @param {string} idPrefix of its cells on the page
   * @param {object|function} params for the server's connect; a function is called for every reconnect
   * @param {boolean} idle whether the socket stays unconnected until its first use
   */
  constructor(name, idPrefix, log, params = {}, { idle = false } = {}) {
    this.name = name;
    this.#log = log;
    this.#stateCell = document.querySelector(`#${idPrefix}-state`);
    this.#detailCell = document.querySelector(`#${idPrefix}-detail`);
    this.#toggle = document.querySelector(`#${idPrefix}-toggle`);
    this.#toggle.addEventListener("click", () => this.#onToggle());
    this.socket = new Socket(`/${name}`, {
      params,
      longPollFallbackMs: LONG_POLL_FALLBACK_MS,
      encode: (message, done) => {
        log.frame("out", name, message);
        Serializer.encode(message, done);
      },
      decode: (raw, done) => Serializer.decode(raw, (message) => {
        log.frame("in", name, message);
        done(message);
      }),
    });
    this.socket.onOpen(() => this.#onOpen());
    this.socket.onClose((event) => this.#onClose(event));
    if (idle) this.#state = "closed";
  }

  connectUnlessOpen() {
    if (this.#state === "closed") this.connect();
  }

  connect() {
    this.#show("connecting");
    this.socket.connect();
  }

  #onToggle() {
    if (this.#state === "closed") return this.connect();
    this.#show("closed", "by you");
    this.#log.note(this.name, "disconnect");
    this.socket.disconnect();
  }

  #onOpen() {
    this.#log.note(this.name, "open", this.#lostTries ? { tries: this.#lostTries } : undefined);
    this.#lostTries = 0;
    this.#wasOpen = true;
    const polls = this.socket.transport === LongPoll;
    this.#stateCell.dataset.transport = polls ? "longpoll" : "websocket";
    this.#show("open", polls ? "long polling" : "");
    this.socket.ping((millis) => {
      if (this.#state === "open") this.#detailCell.textContent = `${millis} ms${polls ? ", long polling" : ""}`;
    });
  }

  // Also called for each failed attempt to reconnect; only the first one is logged.
  #onClose({ code, reason }) {
    if (this.#state === "closed") return;
    if (this.#lostTries === 0) {
      this.#log.note(this.name, "close", reason ? { code, reason } : { code }, { problem: true });
    }
    this.#lostTries += 1;
    const tries = this.#lostTries === 1 ? "" : `, try ${this.#lostTries}`;
    // A browser reports the same error for a refused connection and an unreachable server.
    const why = this.#wasOpen ? `closed with ${code}` : "refused or unreachable";
    this.#show("reconnecting", why + tries);
  }

  #show(state, detail = "") {
    this.#state = state;
    this.#stateCell.dataset.state = state;
    // Written only on a change, since a screen reader announces each write.
    if (this.#stateCell.textContent !== LABELS[state]) this.#stateCell.textContent = LABELS[state];
    this.#detailCell.textContent = detail;
    const next = state === "closed" ? "connect" : "disconnect";
    this.#toggle.dataset.action = next;
    this.#toggle.firstChild.data = next === "connect" ? "Connect" : "Disconnect";
  }
}
