/**
 * Stands in for a fuzzing server, upon the `ws` library: it counts its cases, runs them, and writes down what came back.
 */
import { once } from "node:events"
import * as Http from "node:http"
import type { AddressInfo, Socket } from "node:net"
import type { Duplex } from "node:stream"
import { WebSocketServer, type WebSocket } from "ws"

/** What a case does to its connection; `tell` writes down what the client did. */
export type Case = (socket: WebSocket, raw: Socket, tell: (what: string) => void) => void

export class FuzzingServer implements AsyncDisposable {
  /** What the client did: the case and the observation. */
  readonly notes: Array<string> = []
  /** The agents whose reports were asked for. */
  readonly reports: Array<string | null> = []
  private readonly cases: ReadonlyArray<Case | "refuse">
  private readonly count: string
  private readonly http = Http.createServer()
  private readonly sockets = new WebSocketServer({ noServer: true })

  private constructor(cases: ReadonlyArray<Case | "refuse">, count: string) {
    this.cases = cases
    this.count = count
    this.http.on("upgrade", (request, raw, head) => this.upgrade(request, raw, head))
  }

  static async listen(cases: ReadonlyArray<Case | "refuse">, count = `${cases.length}`): Promise<FuzzingServer> {
    const server = new FuzzingServer(cases, count)
    server.http.listen(0, "127.0.0.1")
    await once(server.http, "listening")
    return server
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.http.address() as AddressInfo).port}`
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.http.close()
    this.http.closeAllConnections()
    for (const socket of this.sockets.clients) socket.terminate()
  }

  private upgrade(request: Http.IncomingMessage, raw: Duplex, head: Buffer): void {
    const { pathname, searchParams } = new URL(request.url ?? "", "ws://host")
    const number = Number(searchParams.get("case"))
    const chosen = this.cases[number - 1]
    if (pathname === "/runCase" && (chosen === undefined || chosen === "refuse")) {
      raw.end("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
      return
    }
    this.sockets.handleUpgrade(request, raw, head, (socket) => {
      socket.on("error", () => {})
      if (pathname === "/getCaseCount") return this.tellCount(socket)
      if (pathname === "/updateReports") return this.updateReports(socket, searchParams.get("agent"))
      const tell = (what: string) => this.notes.push(`case ${number}: ${what}`)
      if (chosen !== "refuse") chosen?.(socket, raw as Socket, tell)
    })
  }

  private tellCount(socket: WebSocket): void {
    socket.send(this.count)
    socket.close()
  }

  private updateReports(socket: WebSocket, agent: string | null): void {
    this.reports.push(agent)
    socket.close()
  }
}
