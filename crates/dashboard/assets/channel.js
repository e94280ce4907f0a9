// The page's channel over a WebSocket of its own: it joins, sends heartbeats, and reconnects after a lost connection. It
// uses version 2 of the protocol and has no dependency, so an application that mounts the dashboard needs no npm. The
// callbacks in `on` report each change: `connecting`, `joined`, `refused`, `event`, `lost`.

const HEARTBEAT_MS = 30_000;

// Delay of the next attempt, by the number of failed ones. A restarted server is reachable within the first.
const RETRY_MS = [100, 500, 1000, 2000, 5000];

export class Channel {
  #address;
  #topic;
  #on;
  #socket;
  #heartbeats;
  #ref = 0;
  #joinRef = null;
  #pendingHeartbeat = null;
  #failed = 0;

  constructor(path, topic, params, on) {
    this.#address = new URL(`${path}/websocket`, location.href);
    this.#address.protocol = this.#address.protocol.replace("http", "ws");
    this.#address.search = new URLSearchParams({ ...params, vsn: "2.0.0" });
    this.#topic = topic;
    this.#on = on;
    this.#connect();
  }

  #connect() {
    this.#on.connecting();
    this.#socket = new WebSocket(this.#address);
    this.#socket.addEventListener("open", () => this.#join());
    this.#socket.addEventListener("message", ({ data }) => this.#receive(...JSON.parse(data)));
    this.#socket.addEventListener("close", () => this.#lost());
  }

  #join() {
    this.#pendingHeartbeat = null;
    this.#heartbeats = setInterval(() => this.#sendHeartbeat(), HEARTBEAT_MS);
    this.#joinRef = String((this.#ref += 1));
    this.#send(this.#joinRef, this.#joinRef, this.#topic, "phx_join");
  }

  #sendHeartbeat() {
    // A broken TCP connection may stay open without an error; a heartbeat without a reply detects it.
    if (this.#pendingHeartbeat) return this.#socket.close();
    this.#pendingHeartbeat = String((this.#ref += 1));
    this.#send(null, this.#pendingHeartbeat, "phoenix", "heartbeat");
  }

  #send(joinRef, ref, topic, event) {
    this.#socket.send(JSON.stringify([joinRef, ref, topic, event, {}]));
  }

  #receive(joinRef, ref, topic, event, payload) {
    if (event === "phx_reply" && ref === this.#pendingHeartbeat) {
      this.#pendingHeartbeat = null;
    } else if (event === "phx_reply" && ref === this.#joinRef) {
      this.#failed = 0;
      if (payload.status === "ok") this.#on.joined(payload.response);
      else this.#on.refused();
    } else if (topic === this.#topic && (event === "phx_error" || event === "phx_close")) {
      this.#socket.close();
    } else if (topic === this.#topic) {
      this.#on.event(event, payload);
    }
  }

  #lost() {
    clearInterval(this.#heartbeats);
    this.#on.lost();
    setTimeout(() => this.#connect(), RETRY_MS[this.#failed] ?? RETRY_MS.at(-1));
    this.#failed += 1;
  }
}
