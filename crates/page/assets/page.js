// The connections of a page, and the display of their state.
//
//     import { Socket } from "/assets/phoenix.mjs";
//     import { connect, meta } from "/assets/page.js";
//
//     const connection = connect("/socket", { Socket, params: () => ({ token: meta("user-token") }) });
//     const room = connection.socket.channel("room:1");
//
// A `Connection` owns one `Socket` of the official client and adds four things to it:
//
// - Retries are spread at random, so that the pages of a restarted server do not all return at once. A page that comes
//   from the back/forward cache, becomes visible or regains its network reconnects without delay.
// - An attempt that the server refuses may have an old token, since a restart can change the secret. The page's tokens
//   are fetched anew. The connection is `refused` only when the server refuses the fresh tokens too.
// - Long polling is a fallback only until a WebSocket has worked in this tab. Otherwise the restart of a server would
//   move its open tabs to long polling until they are closed.
// - The state is visible: in the connection's pill, in the link bar, and as `data-link` on the root element, with which
//   plain.css turns everything `data-live` grey.
//
// The states: `connecting` was never open. `open`. `retry` is lost, or was not reachable; the client tries again.
// `refused` tries again each half minute. `off` was disconnected by the user, or is not connected yet.

// The client's own delays between attempts to connect and between attempts to join. The last one repeats.
const CONNECT_STEPS_MS = [10, 50, 100, 150, 200, 250, 500, 1000, 2000, 5000];
const JOIN_STEPS_MS = [1000, 2000, 5000, 10_000];
const REFUSED_STEP_MS = 30_000;

// The time limit for the reply to a ping when a page wakes up. Its connection may be dead after a long sleep, which the
// client's heartbeat detects only after half a minute.
const WAKE_TIMEOUT_MS = 3000;

// The key in the tab's session storage that is set once a WebSocket has worked.
const WEBSOCKET_WORKED = "bennu:websocket-worked";

const LABELS = {
  connecting: "Connecting", open: "Connected", retry: "Reconnecting", refused: "Refused", off: "Disconnected",
};

// All connections of the page, which share the link bar.
const connections = new Set();

/**
 * Opens a connection. The arguments are those of the constructor of `Connection`.
 * @returns {Connection}
 */
export function connect(path, options) {
  const connection = new Connection(path, options);
  connection.connect();
  return connection;
}

/** A connection of the page. It dispatches an event named `state` after each change. */
export class Connection extends EventTarget {
  /** The client's socket, on which the page opens its channels. */
  socket;
  state = "off";
  /** `websocket` or `longpoll`, once the connection was open. */
  transport;
  /** The duration of a ping in milliseconds, once it is known; undefined while the connection is not open. */
  roundTripMs;
  /** The number of failures since the connection was last open, and the close event of the last one. */
  failures = 0;
  closeEvent;
  /** Whether the connection was open before. */
  hasWorked = false;
  /** The time since which the connection is not open, and the time of the last message, in milliseconds. */
  lostAt = Date.now();
  heardAt = performance.timeOrigin;

  #pill;
  #labels;
  #refresh;
  #isWanted = false;
  #isAttempting = false;
  #isRefreshing = false;
  #hasFreshTokens = false;
  #attemptHasFreshTokens = false;

  /**
   * @param {string} path of the server's socket, such as `/socket`
   * @param {object} options those below, and the options of the client's `Socket`
   * @param {Function} options.Socket the client's class
   * @param {object|function} options.params for the server's connect; a function is called for each attempt
   * @param {Element|null} options.pill the element that shows the state; by default `#state`
   * @param {Object<string, string>} options.labels words of the pill by state, where they differ
   * @param {function} options.refresh fetches fresh tokens before a refused attempt is repeated; see `refreshTokens`
   * @param {number} options.spreadMs the first retry happens at a random time within these milliseconds
   */
  constructor(path, {
    Socket, params = {}, pill = document.querySelector("#state"), labels = {}, refresh = refreshTokens, spreadMs = 1000,
    longPollFallbackMs = 2500, ...options
  }) {
    super();
    this.#pill = pill;
    this.#labels = { ...LABELS, ...labels };
    this.#refresh = refresh;
    const delay = (steps) => (tries) => {
      const step = this.state === "refused" ? REFUSED_STEP_MS : steps[tries - 1] ?? steps.at(-1);
      return Math.random() * 2 * Math.max(step, spreadMs / 2);
    };
    this.socket = new Socket(path, {
      reconnectAfterMs: delay(CONNECT_STEPS_MS),
      rejoinAfterMs: delay(JOIN_STEPS_MS),
      longPollFallbackMs: sessionStorage.getItem(WEBSOCKET_WORKED) ? undefined : longPollFallbackMs,
      ...options,
      // The client calls this at the start of each attempt to connect.
      params: () => {
        this.#isAttempting = true;
        this.#attemptHasFreshTokens = this.#hasFreshTokens;
        return typeof params === "function" ? params() : params;
      },
    });
    this.socket.onOpen(() => this.#onOpen());
    this.socket.onClose((event) => this.#onClose(event));
    this.socket.onMessage(() => { this.heardAt = Date.now(); });
    this.#wakeWithPage();
    connections.add(this);
    this.#show("off");
  }

  /** Connects, unless the connection is open or is trying to. */
  connect() {
    if (this.#isWanted) return;
    this.#isWanted = true;
    this.lostAt = Date.now();
    this.failures = 0;
    this.#show("connecting");
    this.socket.connect();
  }

  /** Disconnects until the next `connect`. */
  disconnect() {
    this.#isWanted = this.#isAttempting = false;
    // First, so that the page can leave its channels while the connection is open.
    this.#show("off");
    this.socket.disconnect();
  }

  #onOpen() {
    this.#isAttempting = this.#hasFreshTokens = false;
    this.hasWorked = true;
    this.failures = 0;
    this.heardAt = Date.now();
    const isWebSocket = this.socket.transport === globalThis.WebSocket;
    this.transport = isWebSocket ? "websocket" : "longpoll";
    this.#show("open");
    // A proxy may accept a WebSocket and pass none of its frames, so the reply is the proof.
    this.socket.ping((millis) => {
      this.heardAt = Date.now();
      if (this.state !== "open") return;
      this.roundTripMs = millis;
      if (isWebSocket) this.#dropFallback();
      this.#show("open");
    });
  }

  // Called for a lost connection, and for each attempt that failed.
  #onClose(event) {
    if (!this.#isWanted) return;
    const wasAttempt = this.#isAttempting;
    this.#isAttempting = false;
    this.failures += 1;
    this.closeEvent = event;
    this.#lose();
    // A browser reports the same error for a refused connection and for a server that cannot be reached.
    if (wasAttempt) this.#refreshOnce();
  }

  #lose() {
    if (this.state === "open") this.lostAt = Date.now();
    this.roundTripMs = undefined;
    this.#show(this.state === "refused" ? "refused" : "retry");
  }

  async #refreshOnce() {
    if (this.#isRefreshing) return;
    const hadFreshTokens = this.#attemptHasFreshTokens;
    this.#isRefreshing = true;
    try {
      this.#hasFreshTokens = await this.#refresh();
      const isRefused = !this.#hasFreshTokens || hadFreshTokens;
      if (this.#isWanted && this.state !== "open" && isRefused) this.#show("refused");
    } catch {
      // The server cannot be reached, so nothing is known about the tokens.
      this.#hasFreshTokens = false;
      if (this.state === "refused") this.#show("retry");
    } finally {
      this.#isRefreshing = false;
    }
  }

  #dropFallback() {
    sessionStorage.setItem(WEBSOCKET_WORKED, "true");
    // The client's own note of a tab that uses long polling.
    sessionStorage.removeItem("phx:fallback:LongPoll");
    this.socket.longPollFallbackMs = undefined;
  }

  #wakeWithPage() {
    const wake = () => this.#wake();
    addEventListener("online", wake);
    addEventListener("offline", wake);
    addEventListener("pageshow", ({ persisted }) => persisted && this.#wake());
    document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && this.#wake());
  }

  // Reconnects without delay, or verifies that the open connection is still alive.
  #wake() {
    if (!this.#isWanted || this.#isAttempting) return;
    if (!this.socket.isConnected()) return this.#reconnect();
    const limit = setTimeout(() => {
      if (this.state !== "open") return;
      this.#lose();
      this.#reconnect();
    }, WAKE_TIMEOUT_MS);
    this.socket.ping(() => clearTimeout(limit));
  }

  // A `connect` alone has no effect while the client waits for its next attempt.
  #reconnect() {
    this.socket.disconnect(() => this.#isWanted && this.socket.connect());
  }

  #show(state) {
    this.state = state;
    if (this.#pill) {
      this.#pill.dataset.state = state;
      if (this.transport) this.#pill.dataset.transport = this.transport;
      write(this.#pill, this.#labels[state]);
    }
    showLink();
    this.dispatchEvent(new Event("state"));
  }
}

/**
 * Fetches this page anew, and takes over its `<meta>` elements whose names end with `token`, and the CSRF token of the
 * forms. Resolves to `false` when the page no longer has them, which means that the user is signed out. Rejects when the
 * server cannot be reached.
 * @param {string} selector of the elements that are taken over
 * @returns {Promise<boolean>}
 */
export async function refreshTokens(selector = 'meta[name$="token"]') {
  const page = await fetchPage();
  for (const old of document.querySelectorAll(selector)) {
    const fresh = page?.querySelector(`meta[name="${CSS.escape(old.name)}"]`);
    if (!fresh) return false;
    old.content = fresh.content;
  }
  for (const field of document.querySelectorAll('input[name="_csrf_token"]')) field.value = meta("csrf-token");
  return page !== null;
}

// The request that is under way, which all connections of the page share.
let pageRequest = null;

// Resolves to the page's document; to null when the user has no access to it.
function fetchPage() {
  pageRequest ??= requestPage().finally(() => { pageRequest = null; });
  return pageRequest;
}

async function requestPage() {
  const response = await fetch(location.href, { cache: "no-store" });
  if (response.status >= 500) throw new Error(`could not fetch the page: the server returned ${response.status}`);
  return response.ok ? new DOMParser().parseFromString(await response.text(), "text/html") : null;
}

/** Returns the content of the page's `<meta>` element of this name; an empty text without one. */
export function meta(name) {
  return document.querySelector(`meta[name="${CSS.escape(name)}"]`)?.content ?? "";
}

/** Formats a local time as `12:03:41`, optionally with milliseconds. */
export function clock(date = new Date(), withMillis = false) {
  const two = (number) => String(number).padStart(2, "0");
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  return withMillis ? `${time}.${String(date.getMilliseconds()).padStart(3, "0")}` : time;
}

// Shows the state of all connections: one that is refused counts before one that is lost.
function showLink() {
  const refused = [...connections].find(({ state }) => state === "refused");
  const lost = [...connections].filter(({ state }) => state === "retry");
  const bar = document.querySelector(".link-bar") ?? addLinkBar();
  if (refused) {
    bar.dataset.state = document.documentElement.dataset.link = "expired";
    const text = refused.hasWorked ? "Signed out by a restart." : "The server refused the connection.";
    if (write(bar, text)) bar.append(reloadButton());
  } else if (lost.length) {
    bar.dataset.state = document.documentElement.dataset.link = "lost";
    const since = clock(new Date(Math.min(...lost.map(({ lostAt }) => lostAt))));
    const heard = clock(new Date(Math.min(...lost.map(({ heardAt }) => heardAt))));
    const verb = lost.some(({ hasWorked }) => hasWorked) ? "Connection lost at" : "No connection since";
    write(bar, `${verb} ${since}; trying again. Figures as of ${heard}.`);
  } else {
    delete document.documentElement.dataset.link;
    bar.dataset.state = "hidden";
    bar.replaceChildren();
  }
}

function addLinkBar() {
  const bar = document.createElement("div");
  bar.className = "link-bar";
  bar.setAttribute("role", "status");
  document.body.prepend(bar);
  return bar;
}

function reloadButton() {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button small";
  button.textContent = "Reload";
  button.addEventListener("click", () => location.reload());
  return button;
}

// Writes only a text that differs, since a screen reader announces each write. Returns whether it differed.
function write(element, text) {
  if (element.firstChild?.data === text) return false;
  element.replaceChildren(text);
  return true;
}
