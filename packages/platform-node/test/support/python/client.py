"""`websockets` as a client: client.py '{"url", "subprotocols", "headers", "deflate"}'."""

import asyncio
import json
import sys

from peer import dict_of, drive, read_commands, tell, tell_open
from websockets.exceptions import InvalidStatusCode
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory
from websockets.legacy.client import WebSocketClientProtocol, connect


class Client(WebSocketClientProtocol):
    """Reads the body of a refusal too, which the library leaves to its users."""

    body = ""

    async def read_http_response(self):
        status, headers = await super().read_http_response()
        if status != 101:
            self.body = (await self.reader.readexactly(int(headers["Content-Length"]))).decode()
            Client.refused = self
        return status, headers


def compression_of(options):
    """The defaults of the library, or an offer of what is given alone."""
    if "deflate" not in options:
        return {}
    return {"compression": None, "extensions": [ClientPerMessageDeflateFactory(**options["deflate"])]}


async def main(options):
    connecting = connect(
        options["url"],
        create_protocol=Client,
        subprotocols=options["subprotocols"] or None,
        extra_headers=options["headers"],
        max_size=None,
        **compression_of(options),
    )
    try:
        socket = await connecting
    except InvalidStatusCode as refusal:
        tell("Refused", status=refusal.status_code, headers=dict_of(refusal.headers), body=Client.refused.body)
        return
    tell_open(socket, socket.response_headers)
    await drive(socket, read_commands())


asyncio.run(main(json.loads(sys.argv[1])))
