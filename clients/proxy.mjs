// A real nginx between client and server, which forwards no WebSocket: see proxy.conf.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { accepts, freePort, poll, within } from "./harness.mjs";

export class Proxy {
  #child;
  #dir;

  /** Starts nginx in front of a server's port and resolves once it accepts connections. */
  static async start(serverPort) {
    const proxy = new Proxy();
    proxy.port = await freePort();
    proxy.ws = `ws://127.0.0.1:${proxy.port}`;
    proxy.#dir = mkdtempSync(join(tmpdir(), "bennu-nginx-"));
    const template = readFileSync(new URL("proxy.conf", import.meta.url), "utf8");
    const values = { DIR: proxy.#dir, PORT: proxy.port, SERVER: serverPort };
    const config = join(proxy.#dir, "nginx.conf");
    writeFileSync(config, template.replaceAll(/@(\w+)@/g, (_, name) => values[name]));
    let output = "";
    // Debian installs nginx in a directory of root's PATH only.
    const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` };
    proxy.#child = spawn("nginx", ["-p", proxy.#dir, "-c", config], { stdio: ["ignore", "ignore", "pipe"], env });
    let ended;
    proxy.#child.once("error", (error) => { ended = error.message; });
    proxy.#child.once("exit", (code, signal) => { ended = `exit ${code ?? signal}`; });
    proxy.#child.stderr.on("data", (chunk) => { output = (output + chunk).slice(-8000); });
    await poll(async () => {
      if (ended) throw new Error(`nginx did not start: ${ended} (bin/test installs it)\n${output}`);
      return accepts(proxy.port);
    }, `nginx to accept on port ${proxy.port}`);
    return proxy;
  }

  async stop() {
    const gone = new Promise((resolve) => this.#child.once("exit", resolve));
    process.kill(this.#child.pid, "SIGTERM");
    await within(gone, "nginx to end");
    rmSync(this.#dir, { recursive: true, force: true });
  }
}
