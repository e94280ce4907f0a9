// A socket with one channel over a WebSocket, in version 2 of the protocol. It has no dependency, so an application that
// mounts the dashboard needs no npm. Its interface is the part of the official client's `Socket` that `page.js` uses, and
// `join`.

const HEARTBEAT_MS = 30_000;
const TOPIC_OF_HEARTBEATS = "phoenix";

export class Socket {
  transport = WebSocket;
  #address;
  #options;
  #callbacks = { open: [], close: [], message: [] };
  #socket = null;
  #retry;
  #heartbeats;
  #tries = 0;
  #ref = 0;
  #replies = new Map();
  #topic;
  #on;
  #joinRef;
  #joinTries = 0;
  #rejoin;

  /** `params`, `reconnectAfterMs` and `rejoinAfterMs` are the official client's options of these names. */
  constructor(path, options) {
    this.#address = new URL(`${path}/websocket`, location.href);
    this.#address.protocol = this.#address.protocol.replace("http", "ws");
    this.#options = options;
    // A page with an open connection is not kept for the browser's Back button. `page.js` connects it again.
    addEventListener("pagehide", () => this.disconnect());
  }

  onOpen(callback) { this.#callbacks.open.push(callback); }
  onClose(callback) { this.#callbacks.close.push(callback); }
  onMessage(callback) { this.#callbacks.message.push(callback); }

  isConnected() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  connect() {
    if (this.#socket) return;
    this.#address.search = new URLSearchParams({ ...this.#options.params(), vsn: "2.0.0" });
    const socket = new WebSocket(this.#address);
    // A socket that was replaced may still report events.
    const current = (action) => (event) => this.#socket === socket && action(event);
    socket.addEventListener("open", current(() => this.#onOpen()));
    socket.addEventListener("message", current(({ data }) => this.#receive(...JSON.parse(data))));
    socket.addEventListener("close", current((event) => this.#onClose(event)));
    this.#socket = socket;
  }

  disconnect(disconnected = () => {}) {
    this.#drop();
    disconnected();
  }

  /** Sends a heartbeat and passes the duration of its reply in milliseconds. */
  ping(callback) {
    const since = performance.now();
    this.#push(null, TOPIC_OF_HEARTBEATS, "heartbeat", () => callback(Math.round(performance.now() - since)));
  }

  /** Joins a topic, now and after each reconnect, in place of the topic before. `on` has `joined`, `refused` and `event`. */
  join(topic, on) {
    this.#topic = topic;
    this.#on = on;
    if (this.isConnected()) this.#join();
  }

  #onOpen() {
    this.#tries = 0;
    this.#heartbeats = setInterval(() => this.#sendHeartbeat(), HEARTBEAT_MS);
    for (const callback of this.#callbacks.open) callback();
    if (this.#topic) this.#join();
  }

  #onClose(event) {
    this.#drop();
    this.#tries += 1;
    this.#retry = setTimeout(() => this.connect(), this.#options.reconnectAfterMs(this.#tries));
    for (const callback of this.#callbacks.close) callback(event);
  }

  #drop() {
    clearTimeout(this.#retry);
    clearTimeout(this.#rejoin);
    clearInterval(this.#heartbeats);
    this.#replies.clear();
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
  }

  // A broken TCP connection may stay open without an error; a heartbeat without a reply detects it.
  #sendHeartbeat() {
    const limit = setTimeout(() => this.#onClose(new CloseEvent("close", { code: 1006 })), HEARTBEAT_MS / 2);
    const socket = this.#socket;
    this.ping(() => clearTimeout(limit));
    socket.addEventListener("close", () => clearTimeout(limit));
  }

  #join() {
    this.#joinRef = this.#push(undefined, this.#topic, "phx_join", ({ status, response }) => {
      if (status !== "ok") return this.#on.refused(response);
      this.#joinTries = 0;
      this.#on.joined(response);
    });
  }

  #rejoinLater() {
    this.#joinTries += 1;
    this.#rejoin = setTimeout(() => this.#join(), this.#options.rejoinAfterMs(this.#joinTries));
  }

  #push(joinRef, topic, event, onReply) {
    const ref = String((this.#ref += 1));
    this.#replies.set(ref, onReply);
    this.#socket.send(JSON.stringify([joinRef === undefined ? ref : joinRef, ref, topic, event, {}]));
    return ref;
  }

  #receive(joinRef, ref, topic, event, payload) {
    for (const callback of this.#callbacks.message) callback();
    if (event === "phx_reply") {
      const onReply = this.#replies.get(ref);
      this.#replies.delete(ref);
      onReply?.(payload);
    } else if (topic === this.#topic && (joinRef ?? this.#joinRef) === this.#joinRef) {
      if (event === "phx_error" || event === "phx_close") this.#rejoinLater();
      else this.#on.event(event, payload);
    }
  }
}
