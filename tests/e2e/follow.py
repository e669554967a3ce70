"""Follows the document of a live server with a JSON Patch library that is not ours.

    follow.py SOCKET

Subscribes over the server's root-only socket, applies what comes with `jsonpatch`, and comes back
where it was when the connection ends. Each line on standard input is an order: `cut` breaks the
connection off, `end` compares the copy with the server's own dump and ends. Each line on standard
output tells of one thing that happened.
"""

import asyncio
import http.client
import json
import socket
import sys

import jsonpatch
import websockets

PATIENCE = 30


class Server(http.client.HTTPConnection):
    """JSON-RPC over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(self.path)

    def ask(self, method, params):
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        self.request("POST", "/rpc/v1", body, {"Content-Type": "application/json"})
        answer = json.load(self.getresponse())
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]


def call(path, method, params):
    server = Server(path)
    try:
        return server.ask(method, params)
    finally:
        server.close()


class Copy:
    """The durable document, the visible one, and where they stand."""

    def __init__(self):
        self.base = self.visible = self.position = None
        self.id = -1

    def begin(self, start):
        if "resume" in start:
            missed = start["resume"]
            self.base = jsonpatch.apply_patch(self.base, missed["base"])
            self.visible = jsonpatch.apply_patch(self.base, missed["overlay"])
        else:
            missed = start["dump"]
            self.visible = missed["value"]
            self.base = jsonpatch.apply_patch(self.visible, missed.get("undo", []))
        self.id, self.position = missed["id"], missed["position"]

    def take(self, frame):
        if frame["id"] <= self.id:
            return
        if frame["prev"] > self.id:
            raise RuntimeError(f"revision {frame['prev']} is missing after {self.id}")
        self.visible = jsonpatch.apply_patch(self.visible, frame["patch"])
        if "durable" in frame:
            self.base = jsonpatch.apply_patch(self.base, frame.get("base", frame["patch"]))
        self.id = frame["id"]
        for count in ("durable", "volatile"):
            self.position[count] = frame.get(count, self.position[count])


def tell(*words):
    print(*words, flush=True)


async def orders():
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


async def follow(path):
    copy, said = Copy(), await orders()
    order = asyncio.ensure_future(said.readline())
    while True:
        try:
            start = await asyncio.to_thread(
                call, path, "db.subscribe", {"from": copy.position} if copy.position else {}
            )
            stream = await websockets.unix_connect(
                path, f"ws://localhost/ws/rpc/{start['guid']}", max_size=None
            )
        except (OSError, http.client.HTTPException, websockets.WebSocketException):
            # The core is away for a moment.
            await asyncio.sleep(0.05)
            continue
        copy.begin(start)
        tell("resume" if "resume" in start else "dump", copy.id)
        frame = asyncio.ensure_future(stream.recv())
        while True:
            await asyncio.wait({frame, order}, return_when=asyncio.FIRST_COMPLETED)
            if order.done():
                what = order.result().strip()
                order = asyncio.ensure_future(said.readline())
                if what == b"cut":
                    stream.transport.abort()
                elif what == b"end":
                    wanted = await asyncio.to_thread(call, path, "db.dump", {})
                    await catch_up(copy, frame, stream, wanted["id"])
                    compare(copy, wanted)
                    return
            if frame.done():
                try:
                    copy.take(json.loads(frame.result()))
                except websockets.ConnectionClosed:
                    tell("lost", copy.id)
                    break
                frame = asyncio.ensure_future(stream.recv())


async def catch_up(copy, frame, stream, wanted):
    # The server says how far it is only to a stream that gets something.
    while copy.id < wanted:
        copy.take(json.loads(await asyncio.wait_for(frame, PATIENCE)))
        frame = asyncio.ensure_future(stream.recv())


def compare(copy, wanted):
    if copy.id != wanted["id"]:
        sys.exit(f"the copy is at {copy.id}, the dump at {wanted['id']}")
    if copy.visible != wanted["value"]:
        patch = jsonpatch.make_patch(copy.visible, wanted["value"])
        sys.exit(f"the copy is another than the dump: {patch}")
    durable = jsonpatch.apply_patch(wanted["value"], wanted.get("undo", []))
    if copy.base != durable:
        sys.exit("the durable copy is another than the dump's")
    tell("same", copy.id)


asyncio.run(follow(sys.argv[1]))
