// The WebSocket codec of the server against npm `ws`: lengths, fragments, control frames, compression, closing.
//
// The messages are Phoenix messages, written by hand: the `echo` event of a `bench:*` channel replies to text with text
// and to bytes with bytes. Each size is tested three times: as the length of the data, of the sent frame, and of the
// received frame, since the length of the whole frame determines the form of its length field.

import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, afterEach, before, test } from "node:test";
import WebSocket from "ws";
import { Inbox, Server, within } from "./harness.mjs";

const TOPIC = "bench:codec";
const SIZES = [0, 1, 125, 126, 65_535, 65_536, 1_048_576];
const PUSH = 0;
const REPLY = 1;

let server;
let open = [];

before(async () => { server = await Server.start(); });
after(() => server.kill());
afterEach(() => {
  for (const ws of open) ws.terminate();
  open = [];
});

const VARIANTS = [
  ["uncompressed", "/socket", { perMessageDeflate: false }],
  ["uncompressed where the server would compress", "/compress_socket", { perMessageDeflate: false }],
  ["compressed, as ws offers it", "/compress_socket", { perMessageDeflate: { threshold: 0 } }],
  ["compressed, without context takeover", "/compress_socket",
    { perMessageDeflate: { threshold: 0, clientNoContextTakeover: true, serverNoContextTakeover: true } }],
  ["compressed, the client asking for no takeover by the server", "/compress_socket",
    { perMessageDeflate: { threshold: 0, serverNoContextTakeover: true } }],
];

for (const [variant, path, options] of VARIANTS) {
  for (const size of SIZES) {
    test(`${variant}: text of ${size} bytes is echoed`, async () => {
      const client = await joined(path, options);
      for (const length of lengthsFor(size, client.textOverheads)) {
        const text = letters(length);
        assert.equal(await client.echoText(text), text);
      }
    });

    test(`${variant}: ${size} bytes are echoed`, async () => {
      const client = await joined(path, options);
      for (const length of lengthsFor(size, client.binaryOverheads)) {
        const bytes = randomBytes(length);
        assert.ok(bytes.equals(await client.echoBytes(bytes)), `${length} bytes came back changed`);
      }
    });
  }

  test(`${variant}: a text message in many fragments, cut inside its characters, with pings between them`, async () => {
    const client = await joined(path, options);
    const text = "héllo, wörld ✓ 🦩".repeat(300);
    const pongs = new Inbox("a pong");
    client.ws.on("pong", (data) => pongs.push(data.toString()));
    const message = Buffer.from(client.textFrame(text));
    for (let at = 0, n = 0; at < message.length; at += 501, n += 1) {
      client.ws.send(message.subarray(at, at + 501), { binary: false, fin: at + 501 >= message.length });
      if (n < 3) client.ws.ping(`between ${n}`);
    }
    assert.equal(await client.nextText(), text);
    assert.deepEqual([await pongs.next(), await pongs.next(), await pongs.next()], ["between 0", "between 1", "between 2"]);
  });

  test(`${variant}: bytes in fragments, of which some are empty`, async () => {
    const client = await joined(path, options);
    const bytes = randomBytes(70_000);
    const message = client.binaryFrame(bytes);
    for (const [from, to] of [[0, 0], [0, 1], [1, 1], [1, 66_000]]) client.ws.send(message.subarray(from, to), { fin: false });
    client.ws.send(message.subarray(66_000), { fin: true });
    assert.ok(bytes.equals(await client.nextBytes()));
  });

  test(`${variant}: 200 messages in a row are echoed, each equal`, async () => {
    const client = await joined(path, options);
    const texts = Array.from({ length: 200 }, (_, n) => `${n}:${letters(10 + ((n * 37) % 900))}`);
    for (const text of texts) client.ws.send(client.textFrame(text));
    for (const text of texts) assert.equal(await client.nextText(), text);
    for (const text of texts) assert.equal(await client.echoText(text), text);
  });
}

test("compression is negotiated where the server enables it, and declined elsewhere", async () => {
  const offer = { perMessageDeflate: { threshold: 0 } };
  const [yes, no] = [await joined("/compress_socket", offer), await joined("/socket", offer)];
  assert.match(yes.ws.extensions, /permessage-deflate/);
  assert.equal(no.ws.extensions, "");
});

test("compressible data takes few bytes in both directions", async () => {
  const client = await joined("/compress_socket", { perMessageDeflate: { threshold: 0 } });
  const [read, written] = [client.tcp.bytesRead, client.tcp.bytesWritten];
  const text = "a".repeat(1_048_576);
  assert.equal(await client.echoText(text), text);
  assert.ok(client.tcp.bytesWritten - written < 50_000, `${client.tcp.bytesWritten - written} bytes sent`);
  assert.ok(client.tcp.bytesRead - read < 50_000, `${client.tcp.bytesRead - read} bytes received`);
});

test("a broadcast reaches compressed and uncompressed clients alike", async () => {
  const clients = [
    await joined("/compress_socket", { perMessageDeflate: { threshold: 0 } }),
    await joined("/compress_socket", { perMessageDeflate: false }),
    await joined("/socket", { perMessageDeflate: false }),
  ];
  for (let n = 0; n < 20; n += 1) {
    const payload = { n, text: letters(500) };
    await server.broadcast(TOPIC, "msg", payload);
    for (const client of clients) {
      assert.deepEqual(JSON.parse((await client.messages.next()).data), [null, null, TOPIC, "msg", payload]);
    }
  }
});

for (const size of [0, 1, 125]) {
  test(`a ping with ${size} bytes has a pong with the same bytes`, async () => {
    const client = await joined("/socket");
    const pongs = new Inbox("the pong");
    client.ws.on("pong", pongs.push);
    const bytes = randomBytes(size);
    client.ws.ping(bytes);
    assert.ok(bytes.equals(await pongs.next()));
  });
}

test("unsolicited pongs are ignored", async () => {
  const client = await joined("/socket");
  client.ws.pong();
  client.ws.pong("unsolicited");
  assert.equal(await client.echoText("still here"), "still here");
});

for (const [code, reason] of [[1000, "done"], [1000, ""], [1001, "going"], [3000, "é✓"], [4999, "x".repeat(123)]]) {
  test(`a close with ${code} and a reason of ${Buffer.byteLength(reason)} bytes is replied to with the same code`, async () => {
    const client = await joined("/socket");
    const closes = closesOf(client.ws);
    client.ws.close(code, reason);
    // Without the reason, as in Phoenix: the recording "ws: client closes with 1000 bye".
    assert.deepEqual(await closes.next(), { code, reason: "" });
  });
}

test("a close without a code has a reply without one", async () => {
  const client = await joined("/socket");
  const closes = closesOf(client.ws);
  client.ws.close();
  assert.deepEqual(await closes.next(), { code: 1005, reason: "" });
});

test("a close during a pending reply completes", async () => {
  const client = await joined("/compress_socket", { perMessageDeflate: { threshold: 0 } });
  const closes = closesOf(client.ws);
  client.ws.send(client.textFrame(letters(200_000)));
  client.ws.close(4000, "bye");
  assert.equal((await closes.next()).code, 4000);
});

for (const [what, send] of [
  ["a text frame", (ws) => ws.send("x".repeat(1001))],
  ["a binary frame", (ws) => ws.send(randomBytes(1001))],
  ["a message whose fragments are small", (ws) => {
    for (let n = 0; n < 6; n += 1) ws.send("x".repeat(200), { fin: n === 5 });
  }],
]) {
  test(`${what} past the frame size limit is closed with 1009`, async () => {
    const ws = await connect("/small_socket", { perMessageDeflate: false });
    const closes = closesOf(ws);
    send(ws);
    assert.equal((await closes.next()).code, 1009);
  });
}

test("a frame below the limit passes where the limit is small", async () => {
  const client = await joined("/small_socket", { perMessageDeflate: false });
  const text = letters(850);
  assert.equal(await client.echoText(text), text);
});

async function connect(path, options = {}) {
  const ws = new WebSocket(`${server.ws}${path}/websocket?vsn=2.0.0`, options);
  open.push(ws);
  ws.upgraded = new Promise((resolve) => ws.once("upgrade", (response) => resolve(response.socket)));
  const opened = new Promise((resolve, reject) => {
    ws.once("open", resolve);
    ws.once("error", reject);
  });
  await within(opened, `${path} to open`);
  return ws;
}

/** A joined client, with the bytes that the two kinds of echo add to the data of the sent and the received frame. */
async function joined(path, options) {
  const ws = await connect(path, options);
  const client = new EchoClient(ws, await ws.upgraded);
  ws.send(JSON.stringify(["1", "1", TOPIC, "phx_join", {}]));
  const { data } = await client.messages.next();
  assert.deepEqual(JSON.parse(data), ["1", "1", TOPIC, "phx_reply", { status: "ok", response: {} }]);
  await client.measure();
  return client;
}

class EchoClient {
  constructor(ws, tcp) {
    this.ws = ws;
    this.tcp = tcp;
    this.messages = new Inbox("a message");
    ws.on("message", (data, isBinary) => this.messages.push({ data, isBinary }));
    ws.on("close", (code, reason) => this.messages.push({ data: Buffer.from(""), closed: `${code} ${reason}` }));
    // Refs of one length, so that every echo adds the same number of bytes.
    this.ref = 1000;
  }

  async measure() {
    this.ws.send(this.textFrame(""));
    const text = (await this.messages.next()).data.length;
    this.ws.send(this.binaryFrame(Buffer.alloc(0)));
    const binary = (await this.messages.next()).data.length;
    this.textOverheads = [this.textFrame("").length, text];
    this.binaryOverheads = [this.binaryFrame(Buffer.alloc(0)).length, binary];
  }

  textFrame(text) {
    return JSON.stringify(["1", String(this.ref++), TOPIC, "echo", { d: text }]);
  }

  binaryFrame(bytes) {
    const fields = ["1", String(this.ref++), TOPIC, "echo"].map((field) => Buffer.from(field));
    return Buffer.concat([Buffer.from([PUSH, ...fields.map((field) => field.length)]), ...fields, bytes]);
  }

  echoText(text) {
    this.ws.send(this.textFrame(text));
    return this.nextText();
  }

  echoBytes(bytes) {
    this.ws.send(this.binaryFrame(bytes));
    return this.nextBytes();
  }

  async nextText() {
    const { data, isBinary, closed } = await this.messages.next();
    assert.equal(closed, undefined, "the connection was closed");
    assert.equal(isBinary, false);
    const [, , topic, event, { status, response }] = JSON.parse(data);
    assert.deepEqual([topic, event, status], [TOPIC, "phx_reply", "ok"]);
    return response.d;
  }

  async nextBytes() {
    const { data, isBinary, closed } = await this.messages.next();
    assert.equal(closed, undefined, "the connection was closed");
    assert.equal(isBinary, true);
    assert.equal(data[0], REPLY);
    const lengths = [...data.subarray(1, 5)];
    const fields = [];
    let at = 5;
    for (const length of lengths) {
      fields.push(data.toString("utf8", at, at + length));
      at += length;
    }
    assert.deepEqual([fields[0], ...fields.slice(2)], ["1", TOPIC, "ok"]);
    return data.subarray(at);
  }
}

/** Returns the data lengths with which the data, the sent frame, and the received frame have `size` bytes. */
function lengthsFor(size, overheads) {
  return [size, ...overheads.map((overhead) => size - overhead).filter((length) => length >= 0)];
}

function letters(length) {
  return Array.from({ length }, (_, n) => String.fromCharCode(97 + ((n * 7 + (n >> 5)) % 26))).join("");
}

function closesOf(ws) {
  const inbox = new Inbox("the connection to be closed");
  ws.on("error", () => {});
  ws.on("close", (code, reason) => inbox.push({ code, reason: reason.toString() }));
  return inbox;
}
