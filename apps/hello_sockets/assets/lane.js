// A lane: a connection of its own to the measured socket with five slow pushes, drawn as bars from the push to its
// reply. Two lanes beside each other show which pushes wait for others.
//
// A lane connects and joins with its first round. Its connection and its channel have state cells like all others.

import { LiveChannel } from "./channels.js";
import { LoggedConnection } from "./connections.js";

const QUESTIONS = 5;
// The time of five pushes one after another, which is also the length of the time axis.
const REACH_MS = 15_000;
// Longer than the client's default of 10 s, after which the last pushes would time out.
const TIMEOUT_MS = 30_000;

export class Lane {
  #event;
  #connection;
  #channel;
  #bars;
  #outcome;
  #round = 0;

  constructor(name, event, log) {
    this.#event = event;
    this.#connection = new LoggedConnection("stats_socket", `${name}-socket`, log);
    this.#channel = new LiveChannel(this.#connection, "valid", document.querySelector(`[data-lane="${name}"]`), log);
    this.#bars = document.querySelector(`#${name}-bars`);
    this.#outcome = document.querySelector(`#${name}-outcome`);
    document.querySelector(`#${name}-ask`).addEventListener("click", () => this.ask());
  }

  /** Sends five pushes at once. An unfinished earlier round is no longer drawn. */
  async ask() {
    this.#connection.connect();
    this.#channel.join();
    const round = ++this.#round;
    const since = performance.now();
    const bars = Array.from({ length: QUESTIONS }, (_, n) => new Bar(n + 1));
    this.#bars.replaceChildren(...bars.map((bar) => bar.element));
    this.#outcome.textContent = "Waiting for five answers.";
    const elapsed = () => performance.now() - since;
    const draw = () => {
      if (this.#round !== round || !bars.some((bar) => bar.waits)) return;
      for (const bar of bars) bar.reach(elapsed());
      requestAnimationFrame(draw);
    };
    requestAnimationFrame(draw);
    const answers = await Promise.all(bars.map(async (bar) => {
      const { status } = await this.#channel.ask(this.#event, {}, TIMEOUT_MS);
      bar.end(status, elapsed());
      return status;
    }));
    if (this.#round !== round) return;
    const good = answers.filter((status) => status === "ok").length;
    this.#outcome.textContent = `${good} answers in ${seconds(elapsed())}.`;
  }
}

class Bar {
  waits = true;
  #fill = document.createElement("span");
  #time = document.createElement("span");

  constructor(number) {
    this.element = document.createElement("li");
    this.element.dataset.outcome = "waiting";
    this.element.dataset.number = number;
    this.#fill.className = "fill";
    this.#time.className = "time";
    const track = document.createElement("span");
    track.className = "bar";
    track.append(this.#fill);
    this.element.append(track, this.#time);
  }

  reach(ms) {
    if (!this.waits) return;
    this.#fill.style.width = `${Math.min(100, (ms / REACH_MS) * 100)}%`;
    this.#time.textContent = seconds(ms);
  }

  end(status, ms) {
    this.reach(ms);
    this.waits = false;
    this.element.dataset.outcome = status === "ok" ? "ok" : "failed";
    if (status === "ok") this.element.dataset.ms = Math.round(ms);
    else this.#time.textContent = status;
  }
}

function seconds(ms) {
  return `${(ms / 1000).toFixed(1)} s`;
}
