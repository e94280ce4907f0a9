// The log: one bounded list of all frames and events of the connections, the newest last.
//
// It owns the entries, their list element, the filter, pause and clear, and the line that shows the newest entry
// on a small screen. `connections.js` and `channels.js` write to it; it is independent of sockets and channels.

import { clock } from "/assets/page.js";

const MAX_ENTRIES = 300;
const MAX_PAYLOAD_CHARS = 280;
const MAX_STRING_CHARS = 48;
const NEAR_END_PX = 40;
const CONNECTION_TOPIC = "connection";
const HEARTBEAT_TOPIC = "phoenix";
const WAYS = { out: ["↑", "out"], in: ["↓", "in"], client: ["•", "client"] };

/** Formats a payload on one line: JSON as text, bytes as their count. */
export function compact(payload) {
  if (payload instanceof ArrayBuffer) return `${payload.byteLength} bytes`;
  return payload === undefined ? "" : JSON.stringify(payload);
}

export class Log {
  #entries = [];
  #topics = new Set();
  #nextId = 1;
  #paused = false;
  #missed = 0;
  #followsEnd = true;
  #list = document.querySelector("#log");
  #scroll = document.querySelector("#log-scroll");
  #count = document.querySelector("#log-count");
  #filter = document.querySelector("#log-filter");
  #heartbeats = document.querySelector("#log-heartbeats");
  #pause = document.querySelector("#log-pause");
  #latest = document.querySelector("#log-latest");

  constructor() {
    this.#filter.addEventListener("change", () => this.#redraw());
    this.#heartbeats.addEventListener("change", () => this.#redraw());
    this.#pause.addEventListener("click", () => this.#togglePause());
    document.querySelector("#log-clear").addEventListener("click", () => this.#clear());
    this.#followEndUnlessScrolledUp();
    this.#hideLatestWhileLogIsInView();
    this.#showCount();
  }

  /** Adds a frame that was sent or received. */
  frame(direction, socket, { topic, event, payload }) {
    const status = event === "phx_reply" ? payload.status : undefined;
    const problem = event === "phx_error" || status === "error";
    this.#add({ direction, socket, topic, event, payload, status, problem });
  }

  /** Adds an action or a timeout of the client; an entry without a topic concerns the whole connection. */
  note(socket, event, payload, { topic = CONNECTION_TOPIC, problem = false } = {}) {
    this.#add({ direction: "client", socket, topic, event, payload, problem });
  }

  #add(fields) {
    const entry = { id: this.#nextId++, at: new Date(), ...fields };
    this.#entries.push(entry);
    if (this.#entries.length > MAX_ENTRIES) this.#entries.shift();
    this.#rememberTopic(entry.topic);
    if (!this.#passes(entry)) return this.#showCount();
    if (this.#paused) this.#missed += 1;
    else this.#append(entry);
    this.#showCount();
    this.#latest.replaceChildren(...summary(entry));
  }

  #append(entry) {
    this.#list.append(row(entry));
    while (this.#list.childElementCount > MAX_ENTRIES) this.#list.firstElementChild.remove();
    this.#scrollToEnd();
  }

  #passes(entry) {
    const topic = this.#filter.value;
    if (topic) return entry.topic === topic;
    return entry.topic !== HEARTBEAT_TOPIC || this.#heartbeats.checked;
  }

  #redraw() {
    this.#list.replaceChildren(...this.#entries.filter((entry) => this.#passes(entry)).map(row));
    this.#scrollToEnd();
    this.#missed = 0;
    this.#showCount();
  }

  #togglePause() {
    this.#paused = !this.#paused;
    this.#pause.setAttribute("aria-pressed", String(this.#paused));
    this.#pause.textContent = this.#paused ? "Continue" : "Pause";
    if (!this.#paused) this.#redraw();
    this.#showCount();
  }

  #clear() {
    this.#entries = [];
    this.#topics.clear();
    this.#filter.replaceChildren(this.#filter.firstElementChild);
    this.#latest.replaceChildren();
    this.#redraw();
  }

  #rememberTopic(topic) {
    if (this.#topics.has(topic) || (this.#topics.size >= MAX_ENTRIES && topic !== this.#filter.value)) return;
    this.#topics.add(topic);
    const after = [...this.#filter.options].slice(1).find((option) => option.value > topic);
    this.#filter.add(new Option(topic === HEARTBEAT_TOPIC ? "phoenix (heartbeats)" : topic, topic), after);
  }

  #showCount() {
    const shown = this.#list.childElementCount;
    const noun = shown === 1 ? "entry" : "entries";
    const bound = this.#entries.length === MAX_ENTRIES ? `, the last ${MAX_ENTRIES} are kept` : "";
    this.#count.textContent = this.#paused ? `paused, ${this.#missed} more` : `${shown} ${noun}${bound}`;
  }

  #scrollToEnd() {
    if (this.#followsEnd) this.#scroll.scrollTop = this.#scroll.scrollHeight;
  }

  #followEndUnlessScrolledUp() {
    this.#scroll.addEventListener("scroll", () => {
      const { scrollHeight, scrollTop, clientHeight } = this.#scroll;
      this.#followsEnd = scrollHeight - scrollTop - clientHeight < NEAR_END_PX;
    });
    new ResizeObserver(() => this.#scrollToEnd()).observe(this.#scroll);
  }

  #hideLatestWhileLogIsInView() {
    new IntersectionObserver(([{ isIntersecting }]) => {
      this.#latest.hidden = isIntersecting;
    }).observe(this.#scroll);
  }
}

function row(entry) {
  const item = document.createElement("li");
  Object.assign(item.dataset, {
    id: entry.id, socket: entry.socket, topic: entry.topic, event: entry.event, direction: entry.direction,
  });
  if (entry.status !== undefined) item.dataset.status = entry.status;
  if (entry.problem) item.dataset.problem = "";
  item.dataset.payload = compact(entry.payload);
  item.append(
    part("time", "", clock(entry.at, true)),
    part("span", `way ${entry.direction}`, way(entry)),
    part("span", "socket", `/${entry.socket}`),
    part("span", "topic", entry.topic),
    part("span", "event", entry.event),
    part("code", "payload", short(entry.payload)),
  );
  return item;
}

// Shortens long strings to both ends and long payloads to their beginning; `data-payload` has the whole.
function short(payload) {
  if (payload === undefined || payload instanceof ArrayBuffer) return compact(payload);
  const text = JSON.stringify(payload, (_key, value) =>
    typeof value === "string" && value.length > MAX_STRING_CHARS ? `${value.slice(0, 20)}…${value.slice(-12)}` : value);
  return text.length > MAX_PAYLOAD_CHARS ? `${text.slice(0, MAX_PAYLOAD_CHARS)}… (${text.length} characters)` : text;
}

function summary(entry) {
  return [
    part("span", "sr", "Go to the log. Newest entry: "),
    part("span", `way ${entry.problem ? "problem" : entry.direction}`, way(entry)),
    part("span", "topic", entry.topic),
    part("span", "event", entry.event),
    part("span", "go", "Log"),
  ];
}

function way(entry) {
  const [arrow, word] = WAYS[entry.direction];
  return `${entry.problem ? "!" : arrow} ${word}`;
}

function part(tag, className, text) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.textContent = text;
  return element;
}
