"""`websockets` as a server on a free port, for one connection at a time. It refuses /secret."""

import asyncio
import http

from peer import drive, read_commands, tell, tell_open
from websockets.legacy.server import serve


async def refuse_secret(path, request_headers):
    if path == "/secret":
        return http.HTTPStatus.FORBIDDEN, [("X-Reason", "members only")], b"not for you\n"
    return None


async def main():
    commands = read_commands()

    async def handle(socket):
        tell_open(socket, socket.request_headers)
        await drive(socket, commands)

    server = await serve(
        handle,
        "127.0.0.1",
        0,
        process_request=refuse_secret,
        subprotocols=["chat.v2", "chat.v1"],
        max_size=None,
    )
    tell("Listening", port=server.sockets[0].getsockname()[1])
    await asyncio.Future()


asyncio.run(main())
