// A lane: one connection of its own to the measured socket, and five slow questions on it, drawn as bars from the question
// to the answer. What waits behind what is seen by two lanes beside each other.
//
// It connects and joins when it is first asked; its connection and its channel show themselves as all others do.

import { LiveChannel } from "./channels.js";
import { Connection } from "./connections.js";

const QUESTIONS = 5;
// One after another they take 15 s, which is also how far the bars reach.
const REACH_MS = 15_000;
// Longer than the client's default of 10 s, after which it would give the last ones up.
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
    this.#connection = new Connection("stats_socket", `${name}-socket`, log, {}, { idle: true });
    this.#channel = new LiveChannel(this.#connection, "valid", document.querySelector(`[data-lane="${name}"]`), log);
    this.#bars = document.querySelector(`#${name}-bars`);
    this.#outcome = document.querySelector(`#${name}-outcome`);
    document.querySelector(`#${name}-ask`).addEventListener("click", () => this.ask());
  }

  /** Asks five times at once. A round that is under way is drawn no more. */
  async ask() {
    this.#connection.connectUnlessOpen();
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
    track.className = "track";
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
