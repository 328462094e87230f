/**
 * The floor: reads what comes, keeps nothing but the socket.
 */
import * as Net from "node:net"
import { report } from "../report.js"

const server = Net.createServer({ noDelay: true }, (socket) => {
  socket.on("error", () => {})
  socket.resume()
})
server.listen({ host: "127.0.0.1", port: 0 }, () => {
  report(/** @type {import("node:net").AddressInfo} */ (server.address()).port)
})
