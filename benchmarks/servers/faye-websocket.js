import WebSocket from "faye-websocket"
import * as Http from "node:http"
import { report, touch, work } from "./report.js"

const members = new Set()

const server = Http.createServer()
server.on("upgrade", (request, socket, head) => {
  const connection = new WebSocket(request, socket, head)
  members.add(connection)
  connection.on("close", () => members.delete(connection))
  connection.on("message", ({ data }) => {
    if (work === "read" && typeof data === "string") touch(data)
    if (work === "fanout") for (const member of members) member.send(data)
    else connection.send(data)
  })
})
server.listen({ host: "127.0.0.1", port: 0, backlog: 1024 }, () => {
  report(/** @type {import("node:net").AddressInfo} */ (server.address()).port)
})
