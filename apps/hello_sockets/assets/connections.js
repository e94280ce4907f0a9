// The page's connections, with their rows at the top of the page, and with every frame in the log.
//
// A row has the state, a detail and a button. `channels.js` opens channels on `connection.socket`; this file is
// independent of them.

import { Connection } from "/assets/page.js";
import { Serializer, Socket } from "/assets/phoenix.mjs";

export class LoggedConnection extends Connection {
  #log;
  #detail;
  #toggle;
  #isOffByUser = false;
  #failuresShown = 0;

  /**
   * @param {string} name     the socket's path without the slash, which is also its name in the log
   * @param {string} idPrefix of the elements of its row
   * @param {object|function} params for the server's connect; a function is called for each attempt
   */
  constructor(name, idPrefix, log, params = {}) {
    super(`/${name}`, {
      Socket,
      params,
      pill: document.querySelector(`#${idPrefix}-state`),
      encode: (message, done) => {
        log.frame("out", name, message);
        Serializer.encode(message, done);
      },
      decode: (raw, done) => Serializer.decode(raw, (message) => {
        log.frame("in", name, message);
        done(message);
      }),
    });
    this.name = name;
    this.#log = log;
    this.#detail = document.querySelector(`#${idPrefix}-detail`);
    this.#toggle = document.querySelector(`#${idPrefix}-toggle`);
    this.#toggle.addEventListener("click", () => this.#onToggle());
    this.addEventListener("state", () => this.#onState());
  }

  #onToggle() {
    this.#isOffByUser = this.state !== "off";
    if (this.#isOffByUser) {
      this.#log.note(this.name, "disconnect");
      this.disconnect();
    } else {
      this.connect();
    }
  }

  #onState() {
    this.#logChange();
    this.#detail.textContent = this.#describe();
    const isOff = this.state === "off";
    this.#toggle.dataset.action = isOff ? "connect" : "disconnect";
    this.#toggle.firstChild.data = isOff ? "Connect" : "Disconnect";
  }

  // Only the first failure in a row is logged.
  #logChange() {
    if (this.state === "open" && this.roundTripMs === undefined) {
      this.#log.note(this.name, "open", this.#failuresShown ? { tries: this.#failuresShown } : undefined);
    } else if (this.failures === 1 && this.#failuresShown === 0) {
      const { code, reason } = this.closeEvent;
      this.#log.note(this.name, "close", reason ? { code, reason } : { code }, { problem: true });
    }
    this.#failuresShown = this.failures;
  }

  #describe() {
    if (this.state === "off") return this.#isOffByUser ? "by you" : "";
    if (this.state === "open") {
      const roundTrip = this.roundTripMs === undefined ? [] : [`${this.roundTripMs} ms`];
      return [...roundTrip, ...(this.transport === "longpoll" ? ["long polling"] : [])].join(", ");
    }
    if (this.failures === 0) return "";
    // A browser reports the same error for a refused connection and an unreachable server.
    const cause = this.hasWorked ? `closed with ${this.closeEvent.code}` : "refused or unreachable";
    return this.failures === 1 ? cause : `${cause}, try ${this.failures}`;
  }
}
