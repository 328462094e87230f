/**
 * The floor: asks for the upgrade, and sends back the bytes that come as they are, unmasked.
 */
import * as Net from "node:net"
import { connectAll } from "./connecting.js"

connectAll((port) => {
  const socket = Net.connect({ host: "127.0.0.1", port, noDelay: true })
  socket.write(
    "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
  )
  socket.once("data", (chunk) => {
    // A message may have come right behind the answer.
    const rest = chunk.subarray(chunk.indexOf("\r\n\r\n") + 4)
    if (rest.length > 0) socket.write(rest)
    socket.on("data", (chunk) => socket.write(chunk))
  })
})
