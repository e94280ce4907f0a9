// Channels: one topic on one connection, with its state in an element of the page.
//
// A Phoenix `Channel` object cannot be joined again after a leave or a close, so a `LiveChannel` creates a new one for
// each join. It owns the channel objects, the state badge, the join/leave button and the result line of its element.
// `app.js` defines the pushes of the buttons and the handlers of arriving messages.

import { compact } from "./log.js";

const LABELS = {
  idle: "Not joined", joining: "Joining", joined: "Joined", rejoining: "Rejoining",
  refused: "Refused", closed: "Closed", left: "Left",
};
const ENDED = new Set(["idle", "refused", "closed", "left"]);

export class LiveChannel {
  #connection;
  #log;
  #element;
  #handlers;
  #opened;
  #channel = null;
  #state = "idle";
  #crashed = false;
  #joinsOnOpen = false;

  /**
   * @param {Object<string, function>} handlers by event; each receives the payload and this channel
   * @param {function} opened receives each channel object before its join
   */
  constructor(connection, topic, element, log, handlers = {}, opened = () => {}) {
    this.topic = topic;
    this.#connection = connection;
    this.#log = log;
    this.#element = element;
    this.#handlers = handlers;
    this.#opened = opened;
    this.#toggleButton.addEventListener("click", () => (this.isOver ? this.join() : this.leave()));
    connection.addEventListener("state", () => this.#onConnection());
    this.#show("idle");
  }

  /** Whether the channel has ended; only `join` starts it again. */
  get isOver() {
    return ENDED.has(this.#state);
  }

  /** Joins. While the user has disconnected the connection, the join waits until it is open again. */
  join() {
    if (!this.isOver) return;
    this.#joinsOnOpen = this.#connection.state === "off";
    if (this.#joinsOnOpen) return this.#show(this.#state, "joins when connected");
    const channel = this.#connection.socket.channel(this.topic, {});
    this.#channel = channel;
    // Reports of an older channel object belong to an ended join and are ignored.
    const current = (action) => (payload) => this.#channel === channel && action(payload);
    for (const [event, handle] of Object.entries(this.#handlers)) {
      channel.on(event, current((payload) => handle(payload, this)));
    }
    this.#opened(channel);
    channel.onError(current((reason) => this.#onError(reason)));
    channel.onClose(current((payload) => this.#onClose(payload)));
    this.#show("joining");
    channel.join()
      .receive("ok", current(() => this.#onJoined()))
      .receive("error", current((response) => this.#onRefused(response)))
      .receive("timeout", current(() => this.#note("join timeout", undefined, true)));
  }

  leave(detail) {
    const channel = this.#forgetChannel();
    this.#show("left", detail);
    channel.leave();
  }

  /** Pushes and shows the result. Resolves to the response of an `ok` reply, or to undefined. */
  async push(event, payload, timeoutMs) {
    this.result("waiting", `${event}: waiting for the answer`);
    const { status, response } = await this.ask(event, payload, timeoutMs);
    if (status === "timeout") this.result(status, `${event}: no answer, the client gave up`);
    else this.result(status, `${event}: ${status}`, response);
    return status === "ok" ? response : undefined;
  }

  /** Pushes. Resolves to the status (ok, error or timeout) and the response. */
  ask(event, payload, timeoutMs) {
    return new Promise((resolve) => {
      const push = this.#channel.push(event, payload, timeoutMs);
      for (const status of ["ok", "error"]) push.receive(status, (response) => resolve({ status, response }));
      push.receive("timeout", () => {
        this.#note("timeout", { of: event }, true);
        resolve({ status: "timeout" });
      });
    });
  }

  /** Pushes an event that crashes or stops the channel and has no reply; the state badge shows the result. */
  pushWithoutAnswer(event, payload) {
    this.result("waiting", `${event}: sent`);
    this.#channel.push(event, payload);
  }

  /** Shows a result. A screen reader announces the text but not the payload's JSON. */
  result(outcome, text, payload) {
    const line = this.#element.querySelector("[data-result]");
    if (!line) return;
    line.dataset.outcome = outcome;
    line.textContent = text;
    if (payload === undefined) return;
    const json = document.createElement("code");
    json.setAttribute("aria-hidden", "true");
    json.textContent = compact(payload);
    line.append(" ", json);
  }

  // The client would show channels of a disconnected connection as rejoining, and join them with its next connect.
  #onConnection() {
    if (this.#connection.state === "off" && !this.isOver) {
      this.leave("disconnected by you");
      this.#joinsOnOpen = true;
    } else if (this.#connection.state === "open" && this.#joinsOnOpen) {
      this.join();
    }
  }

  #onJoined() {
    this.#show("joined");
    if (this.#crashed) this.result("rejoined", "The channel crashed, and the client has joined it again.");
    this.#crashed = false;
  }

  // The client would repeat a refused join, but a refusal that depends on the user does not change. So the channel is
  // left.
  #onRefused(response) {
    const channel = this.#forgetChannel();
    this.#crashed = false;
    this.#show("refused", response.reason ?? "no reason given");
    channel.leave();
  }

  #onError(reason) {
    const transport = reason?.source === "transport";
    this.#show("rejoining", transport ? "no connection" : reason?.reason ?? "the channel crashed");
    if (transport) return;
    this.#crashed = true;
    this.result("crashed", `The channel crashed. The client joins it again.`);
  }

  #onClose() {
    this.#forgetChannel();
    this.#show("closed", "by the server");
  }

  #forgetChannel() {
    const channel = this.#channel;
    this.#channel = null;
    return channel;
  }

  #note(event, payload, problem) {
    this.#log.note(this.#connection.name, event, payload, { topic: this.topic, problem });
  }

  get #toggleButton() {
    return this.#element.querySelector("[data-next]");
  }

  #show(state, detail = "") {
    this.#state = state;
    const badge = this.#element.querySelector("[data-state]");
    badge.dataset.state = state;
    badge.textContent = LABELS[state];
    this.#element.querySelector("[data-detail]").textContent = detail;
    const next = this.isOver ? "join" : "leave";
    const toggle = this.#toggleButton;
    toggle.dataset.next = next;
    toggle.firstChild.data = next === "leave" ? "Leave" : state === "idle" ? "Join" : "Join again";
    for (const button of this.#element.querySelectorAll("[data-needs-join]")) button.disabled = this.isOver;
  }
}

/** A list of topics that the user adds, each with a row. */
export class TopicList {
  #connection;
  #log;
  #list;
  #focusAfterRemoval;
  #canPing;
  #handlers;
  #channels = new Map();

  constructor(connection, log, { list, focusAfterRemoval, canPing, handlers = {} }) {
    this.#connection = connection;
    this.#log = log;
    this.#list = list;
    this.#focusAfterRemoval = focusAfterRemoval;
    this.#canPing = canPing;
    this.#handlers = handlers;
  }

  /** Joins the topic in a new row, or again in its existing row. */
  join(topic) {
    if (!this.#channels.has(topic)) this.#channels.set(topic, this.#addRow(topic));
    this.#channels.get(topic).join();
  }

  #addRow(topic) {
    const row = document.querySelector("#topic-row").content.firstElementChild.cloneNode(true);
    row.dataset.channel = topic;
    row.querySelector("[data-topic-name]").textContent = topic;
    for (const button of row.querySelectorAll("button")) button.append(screenReaderText(` ${topic}`));
    this.#list.append(row);
    const channel = new LiveChannel(this.#connection, topic, row, this.#log, this.#handlers);
    const ping = row.querySelector('[data-action="ping"]');
    if (this.#canPing) ping.addEventListener("click", () => channel.push("ping", {}));
    else ping.remove();
    row.querySelector('[data-action="remove"]').addEventListener("click", () => {
      if (!channel.isOver) channel.leave();
      this.#channels.delete(topic);
      row.remove();
      this.#focusAfterRemoval.focus();
    });
    return channel;
  }
}

function screenReaderText(text) {
  const element = document.createElement("span");
  element.className = "sr";
  element.textContent = text;
  return element;
}
