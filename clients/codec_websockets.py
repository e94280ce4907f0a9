"""The server's WebSocket codec against PyPI `websockets`, one check a run:
`codec_websockets.py WS_URL HTTP_URL CHECK`. Exits with 0 when the check passes; `codec_websockets.test.mjs` runs each.

The `echo` event of a `bench:*` channel echoes the data, text as text and bytes as bytes.
"""

import asyncio
import json
import random
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

TOPIC = "bench:codec"
SIZES = [0, 1, 125, 126, 65_535, 65_536, 1_048_576]
DEADLINE_S = 10
PUSH, REPLY = 0, 1
RANDOM = random.Random(23)


class Echo:
    """A joined client. Its refs have one length, so that every echo adds the same number of bytes to its data."""

    def __init__(self, ws):
        self.ws = ws
        self.ref = 1000

    async def join(self):
        await self.ws.send(json.dumps(["1", "1", TOPIC, "phx_join", {}]))
        equal(json.loads(await self.recv()), ["1", "1", TOPIC, "phx_reply", {"status": "ok", "response": {}}])
        await self.ws.send(self.text_frame(""))
        text_back = len(await self.recv())
        await self.ws.send(self.binary_frame(b""))
        binary_back = len(await self.recv())
        self.text_overheads = [len(self.text_frame("")), text_back]
        self.binary_overheads = [len(self.binary_frame(b"")), binary_back]
        return self

    def recv(self):
        return asyncio.wait_for(self.ws.recv(), DEADLINE_S)

    def next_ref(self):
        self.ref += 1
        return str(self.ref)

    def text_frame(self, text):
        return json.dumps(["1", self.next_ref(), TOPIC, "echo", {"d": text}], ensure_ascii=False)

    def binary_frame(self, data):
        fields = [field.encode() for field in ("1", self.next_ref(), TOPIC, "echo")]
        return bytes([PUSH, *map(len, fields)]) + b"".join(fields) + data

    async def next_text(self):
        message = await self.recv()
        assert isinstance(message, str), "text came back as bytes"
        _, _, topic, event, payload = json.loads(message)
        equal([topic, event, payload["status"]], [TOPIC, "phx_reply", "ok"])
        return payload["response"]["d"]

    async def next_bytes(self):
        message = await self.recv()
        assert isinstance(message, bytes), "bytes came back as text"
        equal(message[0], REPLY)
        return message[5 + sum(message[1:5]):]

    async def echo_text(self, text):
        await self.ws.send(self.text_frame(text))
        equal(await self.next_text(), text)

    async def echo_bytes(self, data):
        await self.ws.send(self.binary_frame(data))
        equal(await self.next_bytes(), data)


def open_ws(path, **options):
    # Without ping_interval, so that the checks send the only pings.
    return connect(f"{ws_url}{path}/websocket?vsn=2.0.0", max_size=None, ping_interval=None, proxy=None, **options)


def no_takeover():
    return [ClientPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)]


VARIANTS = {
    "plain": ("/socket", {"compression": None}),
    "deflate": ("/compress_socket", {"compression": "deflate"}),
    "deflate_without_takeover": ("/compress_socket", {"compression": None, "extensions": no_takeover()}),
}


def equal(actual, expected):
    assert actual == expected, f"{actual!r:.200} is not {expected!r:.200}"


def lengths_for(size, overheads):
    """Returns the data lengths with which the data, the sent frame, and the received frame have `size` bytes."""
    return [size] + [size - overhead for overhead in overheads if size >= overhead]


def letters(length):
    return "".join(RANDOM.choices("abcdefgh ", k=length))


def cut(data, step):
    return [data[at:at + step] for at in range(0, len(data), step)]


async def check_text(path, options):
    async with open_ws(path, **options) as ws:
        client = await Echo(ws).join()
        for size in SIZES:
            for length in lengths_for(size, client.text_overheads):
                await client.echo_text(letters(length))


async def check_bytes(path, options):
    async with open_ws(path, **options) as ws:
        client = await Echo(ws).join()
        for size in SIZES:
            for length in lengths_for(size, client.binary_overheads):
                await client.echo_bytes(RANDOM.randbytes(length))


async def check_fragments(path, options):
    async with open_ws(path, **options) as ws:
        client = await Echo(ws).join()
        text = "héllo, wörld ✓ 🦩" * 300
        await ws.send(cut(client.text_frame(text), 211))
        equal(await client.next_text(), text)
        data = RANDOM.randbytes(200_000)
        await ws.send(cut(client.binary_frame(data), 70_001))
        equal(await client.next_bytes(), data)

        async def with_pings():
            for part in cut(client.text_frame(text), 1000):
                await asyncio.wait_for(await ws.ping(), DEADLINE_S)
                yield part

        await ws.send(with_pings())
        equal(await client.next_text(), text)


async def check_many(path, options):
    async with open_ws(path, **options) as ws:
        client = await Echo(ws).join()
        texts = [f"{n}:{letters(10 + n * 37 % 900)}" for n in range(200)]
        for text in texts:
            await ws.send(client.text_frame(text))
        for text in texts:
            equal(await client.next_text(), text)
        for text in texts:
            await client.echo_text(text)


async def check_pings(path, options):
    async with open_ws(path, **options) as ws:
        client = await Echo(ws).join()
        # The client matches a pong by its bytes, so each future resolves only with the same bytes.
        for data in (b"", b"x", bytes(range(125))):
            await asyncio.wait_for(await ws.ping(data), DEADLINE_S)
        await ws.pong(b"unsolicited")
        await client.echo_text("still here")


async def check_close(path, options):
    for code, reason in ((1000, ""), (1000, "done"), (1001, "going"), (3000, "é✓"), (4999, "x" * 123)):
        async with open_ws(path, **options) as ws:
            await Echo(ws).join()
            await asyncio.wait_for(ws.close(code, reason), DEADLINE_S)
            received = ws.protocol.close_rcvd
            assert received, f"no close frame came back for {code}"
            # Without the reason, as in Phoenix: the recording "ws: client closes with 1000 bye".
            equal((received.code, received.reason), (code, ""))


async def check_too_large(path, options):
    del path, options
    for message in ("x" * 1001, b"x" * 1001, ["x" * 200] * 6):
        async with open_ws("/small_socket", compression=None) as ws:
            try:
                await ws.send(message)
                await asyncio.wait_for(ws.recv(), DEADLINE_S)
                raise AssertionError("the message was answered")
            except ConnectionClosed as closed:
                assert closed.rcvd, "no close frame came"
                equal(closed.rcvd.code, 1009)


async def check_negotiation(path, options):
    del path, options
    async with open_ws("/compress_socket", compression="deflate") as ws:
        equal([extension.name for extension in ws.protocol.extensions], ["permessage-deflate"])
    async with open_ws("/socket", compression="deflate") as ws:
        equal(ws.protocol.extensions, [])


if __name__ == "__main__":
    ws_url, http_url, argument = sys.argv[1:]
    check, _, variant = argument.partition(":")
    asyncio.run(globals()[f"check_{check}"](*VARIANTS[variant or "plain"]))
