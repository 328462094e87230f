"""A connection of `websockets`, driven by JSON lines: what comes is told on stdout, what to do is read from stdin."""

import asyncio
import base64
import json
import sys

from websockets.exceptions import ConnectionClosed
from websockets.frames import Close


def tell(tag, **details):
    print(json.dumps({"_tag": tag, **details}), flush=True)


def tell_open(socket, headers):
    extensions = ", ".join(extension.name for extension in socket.extensions)
    tell("Open", subprotocol=socket.subprotocol or "", extensions=extensions, headers=dict_of(headers))


def dict_of(headers):
    return {name.lower(): value for name, value in headers.raw_items()}


async def drive(socket, commands):
    """Tells what comes and does what it is told, until the connection has ended."""
    obeying = asyncio.ensure_future(obey(socket, commands))
    try:
        async for message in socket:
            tell_message(message)
    except ConnectionClosed:
        pass
    obeying.cancel()
    tell("Close", code=socket.close_code, reason=socket.close_reason)


def tell_message(message):
    if isinstance(message, str):
        tell("Text", text=message)
    else:
        tell("Binary", base64=base64.b64encode(message).decode())


async def obey(socket, commands):
    while True:
        command = await commands.get()
        if command["_tag"] == "Text":
            await socket.send(command["text"])
        elif command["_tag"] == "Binary":
            await socket.send(base64.b64decode(command["base64"]))
        elif command["_tag"] == "Ping":
            asyncio.ensure_future(ping(socket, command["payload"]))
        elif command.get("code") is None:
            # close() always sends a code.
            await socket.write_close_frame(Close(1005, ""), b"")
        else:
            await socket.close(command["code"], command["reason"])


async def ping(socket, payload):
    await (await socket.ping(payload))
    tell("Pong", payload=payload)


def read_commands():
    """Reads commands from now on, in a thread: a pipe that is read by asyncio limits the length of a line."""
    commands = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def read():
        for line in sys.stdin:
            loop.call_soon_threadsafe(commands.put_nowait, json.loads(line))

    loop.run_in_executor(None, read)
    return commands
