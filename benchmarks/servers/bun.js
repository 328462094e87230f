/**
 * Bun's own server. Runs under Bun, which has to be on the PATH.
 */
import { deflate, report, touch, work } from "./report.js"

/** @type {any} */
const { Bun } = globalThis

/** @type {Record<string, (socket: any, message: any) => void>} */
const handlers = {
  echo: (socket, message) => socket.send(message, deflate !== "off"),
  read: (socket, message) => {
    if (typeof message === "string") touch(message)
    socket.send(message)
  },
  fanout: (_socket, message) => server.publish("all", message)
}

const server = Bun.serve({
  hostname: "127.0.0.1",
  port: 0,
  fetch: (/** @type {any} */ request, /** @type {any} */ server) =>
    server.upgrade(request) ? undefined : new Response("Upgrade required", { status: 426 }),
  websocket: {
    perMessageDeflate: deflate !== "off",
    open: (/** @type {any} */ socket) => socket.subscribe("all"),
    message: handlers[work]
  }
})
report(server.port)
