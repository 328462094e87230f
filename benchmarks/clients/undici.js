import { WebSocket } from "undici"
import { connectAll } from "./connecting.js"

connectAll((port) => {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/`)
  socket.binaryType = "arraybuffer"
  socket.addEventListener("message", ({ data }) => socket.send(data))
})
