import { WebSocket } from "ws"
import { connectAll } from "./connecting.js"

connectAll((port) => {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`, { perMessageDeflate: false })
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }))
})
