/**
 * Compresses as TAKEOVER says, "yes", "no" or "off".
 */
import { WebSocketServer } from "ws"
import { report } from "../report.js"

const takeover = process.env.TAKEOVER === "yes"

const server = new WebSocketServer(
  {
    host: "127.0.0.1",
    port: 0,
    perMessageDeflate:
      process.env.TAKEOVER === "off"
        ? false
        : { threshold: 0, serverNoContextTakeover: !takeover, clientNoContextTakeover: !takeover }
  },
  () => report(server.address().port)
)
server.on("connection", (socket) => {
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }))
})
