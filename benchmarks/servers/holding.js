/**
 * Loaded before a server with `--import`: tells on request how many connections it holds, what it read, and in what memory.
 *
 * The list of the sockets costs each server the same, some 8 bytes for each.
 */
import * as DiagnosticsChannel from "node:diagnostics_channel"
import * as Timers from "node:timers/promises"

/** @type {Array<import("node:net").Socket>} */
let sockets = []

DiagnosticsChannel.subscribe("net.server.socket", (message) => {
  sockets.push(/** @type {{ readonly socket: import("node:net").Socket }} */ (message).socket)
})

const holding = () => {
  sockets = sockets.filter((socket) => !socket.destroyed)
  return { connections: sockets.length, bytesRead: sockets.reduce((sum, socket) => sum + socket.bytesRead, 0) }
}

const memory = async () => {
  for (let i = 0; i < 2; i++) {
    await Timers.setImmediate()
    globalThis.gc?.()
  }
  const { external, heapUsed, rss } = process.memoryUsage()
  // The buffers are in `external` already.
  return { rss, heap: heapUsed + external }
}

process.on("message", async (question) => {
  if (question === "holding") process.send?.(holding())
  if (question === "memory") process.send?.(await memory())
})
