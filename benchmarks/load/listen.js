/**
 * The other end of clients: accepts every connection, and then drives it as it does a server.
 */
import { once } from "node:events"
import * as Net from "node:net"
import { acceptOf, Wire } from "./Wire.js"

/**
 * @param {import("./Wire.js").Script} script
 * @param {number} count of connections that are awaited
 */
export const listen = async (script, count) => {
  /** @type {Array<Wire>} */
  const wires = []
  /** @type {(all: Array<Wire>) => void} */
  let complete = () => {}
  /** @type {Promise<Array<Wire>>} */
  const accepted = new Promise((resolve) => {
    complete = resolve
  })
  const server = Net.createServer({ noDelay: true }, (socket) => {
    socket.once("data", (head) => {
      const key = /sec-websocket-key: *(\S+)/i.exec(head.toString("latin1"))?.[1] ?? ""
      const wire = new Wire(socket, script)
      // A client has ended when its process has.
      socket.on("error", () => {})
      socket.on("data", (chunk) => wire.receive(chunk, chunk.length))
      socket.write(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
          `Sec-WebSocket-Accept: ${acceptOf(key)}\r\n\r\n`
      )
      if (wires.push(wire) === count) complete(wires)
    })
  })
  server.listen({ host: "127.0.0.1", port: 0 })
  await once(server, "listening")
  return { port: /** @type {Net.AddressInfo} */ (server.address()).port, accepted, close: () => server.close() }
}
