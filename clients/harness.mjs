// Code that all tests share: the server as a child process, its HTTP routes, and waits with a deadline.
//
// The server is the program in CONFORMANCE_SERVER, started as `PROGRAM PORT`. Each test file starts one on a free port
// and ends it by its process id. No test sleeps for a fixed time: a test waits for an event, and fails when the event
// has not arrived within its deadline.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { connect as connectTcp, createServer } from "node:net";
import { fileURLToPath } from "node:url";

/** The deadline of each wait, for a debug build on a busy machine. It does not delay a test that passes. */
export const DEADLINE_MS = 10_000;

export class Server {
  #child;
  #output = "";

  constructor(port) {
    this.port = port;
    this.ws = `ws://127.0.0.1:${port}`;
    this.http = `http://127.0.0.1:${port}`;
  }

  static async start(port) {
    const server = new Server(port ?? (await freePort()));
    await server.start();
    return server;
  }

  /** Starts the program, after a `kill` on the same port again; resolves once it accepts connections. */
  async start() {
    const program = process.env.CONFORMANCE_SERVER;
    if (!program) throw new Error("CONFORMANCE_SERVER is not set; it is the path of the conformance-server program");
    const child = spawn(program, [String(this.port)], { stdio: ["ignore", "pipe", "pipe"] });
    this.#child = child;
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (chunk) => { this.#output = (this.#output + chunk).slice(-8000); });
    }
    let ended;
    child.once("error", (error) => { ended = error.message; });
    child.once("exit", (code, signal) => { ended = `exit ${code ?? signal}`; });
    await poll(async () => {
      if (ended) throw new Error(`${program} ${this.port} did not start: ${ended}\n${this.#output}`);
      return accepts(this.port);
    }, `${program} to accept on port ${this.port}`);
  }

  /** Sends the signal and resolves when the process has ended. */
  async kill(signal = "SIGKILL") {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    process.kill(child.pid, signal);
    await within(gone, `the server to end on ${signal}`);
  }

  async get(path) {
    const response = await fetch(this.http + path);
    if (!response.ok) throw new Error(`GET ${path} answered ${response.status}`);
    return response.text();
  }

  async post(path, body = "") {
    const response = await fetch(this.http + path, { method: "POST", body });
    if (!response.ok) throw new Error(`POST ${path} answered ${response.status}`);
    return response.text();
  }

  broadcast(topic, event, payload) {
    const query = new URLSearchParams({ topic, event });
    return this.post(`/broadcast?${query}`, JSON.stringify(payload));
  }
}

/** Resolves to the promise's value, or rejects at the deadline with an error that names the missing event. */
export async function within(promise, what, ms = DEADLINE_MS) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited ${ms} ms for ${what}`)), ms);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** A queue of values with one consumer: `push` adds a value, and `next` waits for one. */
export class Inbox {
  #values = [];
  #waiting = [];

  constructor(what) {
    this.what = what;
  }

  push = (value) => {
    const waiter = this.#waiting.shift();
    if (waiter) waiter(value);
    else this.#values.push(value);
  };

  next(ms) {
    if (this.#values.length > 0) return Promise.resolve(this.#values.shift());
    return within(new Promise((resolve) => this.#waiting.push(resolve)), this.what, ms);
  }

  /** Returns the next value that `test` accepts and drops those before it. */
  async nextWhere(test) {
    for (;;) {
      const value = await this.next();
      if (test(value)) return value;
    }
  }

  get size() {
    return this.#values.length;
  }
}

/** Runs a Python script of this folder and returns its exit code and its output. */
export async function python(script, args, ms = 30_000) {
  const here = (name) => fileURLToPath(new URL(name, import.meta.url));
  const program = process.env.PYTHON ?? here(".venv/bin/python3");
  if (!process.env.PYTHON && !existsSync(program)) {
    throw new Error("no Python environment: set PYTHON, or make clients/.venv with requirements.txt installed (bin/test does)");
  }
  // No proxy for the loopback address.
  const env = { ...process.env, NO_PROXY: "127.0.0.1", no_proxy: "127.0.0.1", PYTHONUNBUFFERED: "1" };
  const child = spawn(program, [here(script), ...args], { stdio: ["ignore", "pipe", "pipe"], env });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => { output += chunk; });
  const closed = new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve(code));
  });
  try {
    return { code: await within(closed, `${script} ${args.at(-1)} to end`, ms), output };
  } catch (error) {
    if (child.pid && child.exitCode === null) process.kill(child.pid, "SIGKILL");
    throw new Error(`${error.message}\n${output}`);
  }
}

export async function poll(check, what) {
  const end = Date.now() + DEADLINE_MS;
  while (!(await check())) {
    if (Date.now() > end) throw new Error(`waited ${DEADLINE_MS} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function accepts(port) {
  return new Promise((resolve) => {
    const tcp = connectTcp(port, "127.0.0.1");
    tcp.once("connect", () => { tcp.destroy(); resolve(true); });
    tcp.once("error", () => resolve(false));
  });
}

export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
