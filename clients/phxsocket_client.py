"""The PyPI client `phxsocket`, which uses V1, one dialogue a run: `phxsocket_client.py WS_URL HTTP_URL DIALOGUE`.

Exits 0 when the dialogue went as it should; `phxsocket.test.mjs` runs each of them and holds the deadline.
"""

import json
import queue
import sys
import urllib.request

import phxsocket
from phxsocket.channel import ChannelConnectError, ChannelEvents

DEADLINE_S = 10


def connect(path="/socket", params=None):
    client = phxsocket.Client(f"{ws_url}{path}/websocket", params or {})
    client.connect()
    return client


def reply(channel, event, payload):
    """Pushes and returns the reply; the client passes it to the callback as `{status, response}`."""
    answers = queue.Queue()
    channel.push(event, payload, cb=answers.put)
    return answers.get(timeout=DEADLINE_S)


def broadcast(topic, event, payload):
    request = urllib.request.Request(
        f"{http_url}/broadcast?topic={topic}&event={event}",
        data=json.dumps(payload).encode(),
        method="POST",
    )
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=DEADLINE_S) as response:
        assert response.status == 200


def token(user):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(f"{http_url}/token?id={user}", timeout=DEADLINE_S) as response:
        return response.read().decode()


def equal(actual, expected):
    assert actual == expected, f"{actual!r} is not {expected!r}"


def ok(response):
    return {"status": "ok", "response": response}


def joins():
    client = connect()
    answer = client.channel("reply:lobby", {"colour": "blue"}).join()
    equal(answer, {"topic": "reply:lobby", "got": {"colour": "blue"}})
    client.close()


def is_refused():
    client = connect()
    try:
        client.channel("deny:lobby").join()
    except ChannelConnectError as error:
        equal(error.args[0], {"reason": "denied"})
    else:
        raise AssertionError("the join was not refused")
    channel = client.channel("ping")
    channel.join()
    equal(reply(channel, "ping", {}), ok({"ping": "pong"}))
    client.close()


def pushes():
    client = connect()
    channel = client.channel("ping")
    channel.join()
    equal(reply(channel, "ping", {}), ok({"ping": "pong"}))
    equal(reply(channel, "ping", {"ack_phrase": "hooray!"}), ok({"ping": "hooray!"}))
    equal(reply(channel, "param_ping", {"arr": [1, 2]}), ok({"arr": [1, 2]}))
    equal(reply(channel, "param_ping", {"error": True}), {"status": "error", "response": {"reason": "You asked for this!"}})
    message = channel.push("ping", {}, reply=True)
    equal(message.wait_for_response(), ok({"ping": "pong"}))
    client.close()


def receives_events():
    client = connect()
    channel = client.channel("ping")
    received = queue.Queue()
    channel.on("news", lambda payload: received.put(("news", payload)))
    channel.on("send_ping", lambda payload: received.put(("send_ping", payload)))
    channel.join()
    broadcast("ping", "news", {"text": "é"})
    equal(received.get(timeout=DEADLINE_S), ("news", {"text": "é"}))
    broadcast("ping", "request_ping", {})
    equal(received.get(timeout=DEADLINE_S), ("send_ping", {"from_node": "nonode@nohost"}))
    client.close()


def reaches_another_client():
    left, right = connect(), connect()
    received = queue.Queue()
    there = right.channel("bench:room")
    there.on("msg", received.put)
    there.join()
    here = left.channel("bench:room")
    here.join()
    here.push("broadcast_from", {"n": 1})
    equal(received.get(timeout=DEADLINE_S), {"n": 1})
    left.close()
    right.close()


def survives_a_crash():
    client = connect()
    channel = client.channel("ping")
    errors = queue.Queue()
    channel.on(ChannelEvents.ERROR.value, errors.put)
    channel.join()
    channel.push("raise", {})
    equal(errors.get(timeout=DEADLINE_S), {"reason": "channel_crash"})
    equal(reply(channel, "ping", {}), {"status": "error", "response": {"reason": "unmatched topic"}})
    channel.join()
    equal(reply(channel, "ping", {}), ok({"ping": "pong"}))
    client.close()


def leaves():
    client = connect()
    channel = client.channel("ping")
    closed = queue.Queue()
    channel.on_close = lambda: closed.put(True)
    channel.join()
    # The client's own `leave` sends the message and then calls a method that the reply does not have.
    channel.leave()
    equal(closed.get(timeout=DEADLINE_S), True)
    equal(reply(channel, "ping", {}), {"status": "error", "response": {"reason": "unmatched topic"}})
    channel.join()
    equal(reply(channel, ChannelEvents.LEAVE, {}), ok({}))
    equal(closed.get(timeout=DEADLINE_S), True)
    client.close()


def authenticates():
    client = connect("/auth_socket", {"token": token(1)})
    client.channel("user:1").join()
    try:
        client.channel("user:2").join()
    except ChannelConnectError as error:
        equal(error.args[0], {"reason": "unauthorized"})
    else:
        raise AssertionError("the join was not refused")
    client.close()
    try:
        connect("/auth_socket", {"token": "wrong"})
    except Exception as error:
        assert "403" in str(error), error
    else:
        raise AssertionError("the connection was not refused")


def keeps_its_heartbeat():
    client = phxsocket.Client(f"{ws_url}/short_socket/websocket")
    client.heartbeat_interval = 0.3
    heartbeats, ends = queue.Queue(), queue.Queue()
    client.on_message = lambda message: heartbeats.put(message) if message.topic == "phoenix" else None
    client.on_close = ends.put
    client.connect()
    for _ in range(8):
        equal(heartbeats.get(timeout=DEADLINE_S).payload, ok({}))
    assert ends.empty(), "the server closed a connection that had heartbeats"
    client.close()


if __name__ == "__main__":
    ws_url, http_url, dialogue = sys.argv[1:]
    globals()[dialogue]()
