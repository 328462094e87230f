/**
 * Proxies on loopback: one that speaks HTTP, made of Node's own server, one that speaks SOCKS 5, and one that says what
 * the test tells it to.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { once } from "node:events"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import * as Tls from "node:tls"
import type { Duplex } from "node:stream"
import type { Certificate } from "./certificate.ts"
import { event } from "./sockets.ts"

/** What a client asked for. */
export interface ProxyRequest {
  /** `host:port`, as the client wrote it. */
  readonly target: string
  /** `user:password`, if it said so. */
  readonly credentials: string | undefined
  /** The fields of an HTTP request. */
  readonly headers: Http.IncomingHttpHeaders
}

export interface TestProxy {
  readonly port: number
  /** What was asked for, in order, the refused ones too. */
  readonly requests: ReadonlyArray<ProxyRequest>
  /** All sockets that clients opened. */
  readonly sockets: ReadonlyArray<Net.Socket>
}

export interface ProxyOptions {
  /** Speaks TLS with its clients. */
  readonly tls?: Certificate
  /** `user:password`, without which nothing gets through. */
  readonly credentials?: string
  /** The port on 127.0.0.1 that stands for the target. By default the one that is asked for. */
  readonly port?: number
}

/** A proxy for `CONNECT` (RFC 9110 9.3.6). */
export const connectProxy = (options: ProxyOptions = {}) =>
  Effect.suspend(() => {
    const requests: Array<ProxyRequest> = []
    const server = options.tls === undefined ? Http.createServer() : Https.createServer(options.tls)
    server.on("connect", (request: Http.IncomingMessage, socket: Duplex, head: Buffer) => {
      const asked = fromConnect(request)
      requests.push(asked)
      if (options.credentials !== undefined && asked.credentials !== options.credentials) {
        return void socket.end(wantsCredentials)
      }
      join(socket, asked.target, options.port, head, () => socket.write("HTTP/1.1 200 Connection established\r\n\r\n"))
    })
    return serve(server, requests)
  })

/** A proxy for SOCKS 5 (RFC 1928) with passwords (RFC 1929). */
export const socksProxy = (options: Omit<ProxyOptions, "tls"> & { readonly reply?: number } = {}) =>
  Effect.suspend(() => {
    const requests: Array<ProxyRequest> = []
    const server = Net.createServer((socket) => {
      // A client that leaves ends the talk.
      talkSocks(socket, options, requests).catch(() => socket.destroy())
    })
    return serve(server, requests)
  })

const talkSocks = async (
  socket: Net.Socket,
  { credentials, port, reply = 0 }: Parameters<typeof socksProxy>[0] & {},
  requests: Array<ProxyRequest>
): Promise<void> => {
  const methods = await take(socket, (await take(socket, 2))[1]!)
  const method = credentials === undefined ? 0 : 2
  if (!methods.includes(method)) return void socket.end(Buffer.of(5, 0xff))
  socket.write(Buffer.of(5, method))
  const given = method === 0 ? undefined : await takeCredentials(socket)
  if (given !== undefined) socket.write(Buffer.of(1, given === credentials ? 0 : 1))
  if (given !== credentials) return void socket.end()
  const target = await takeTarget(socket)
  requests.push({ target, credentials: given, headers: {} })
  const answer = Buffer.of(5, reply, 0, 1, 0, 0, 0, 0, 0, 0)
  if (reply === 0) join(socket, target, port, Buffer.alloc(0), () => socket.write(answer))
  else socket.end(answer)
}

const takeCredentials = async (socket: Net.Socket): Promise<string> => {
  const username = await take(socket, (await take(socket, 2))[1]!)
  const password = await take(socket, (await take(socket, 1))[0]!)
  return `${username.toString()}:${password.toString()}`
}

const takeTarget = async (socket: Net.Socket): Promise<string> => {
  const kind = (await take(socket, 4))[3]!
  const address = await take(socket, kind === 1 ? 4 : kind === 4 ? 16 : (await take(socket, 1))[0]!)
  const port = (await take(socket, 2)).readUInt16BE()
  if (kind === 3) return `name ${address.toString()}:${port}`
  if (kind === 1) return `${[...address].join(".")}:${port}`
  return `[${address.toString("hex").replace(/....(?!$)/g, "$&:")}]:${port}`
}

const take = async (socket: Net.Socket, count: number): Promise<Buffer> => {
  for (;;) {
    const bytes = socket.read(count) as Buffer | null
    if (bytes !== null) return bytes
    if (socket.readableEnded) throw new Error("The client has left")
    await once(socket, "readable")
  }
}

/** A proxy that answers each chunk with the next of these, and then nothing more. */
export const scriptedProxy = (...answers: ReadonlyArray<string | Buffer>) =>
  Effect.suspend(() => {
    const chunks: Array<Buffer> = []
    const server = Net.createServer((socket) => {
      let at = 0
      socket.on("data", (chunk) => {
        chunks.push(chunk)
        if (at < answers.length) socket.write(answers[at++]!)
      })
    })
    return Effect.map(serve(server, []), (proxy) => ({ ...proxy, chunks }))
  })

/** A server that sends back what it gets, with or without TLS. */
export const echoServer = (tls?: Tls.TlsOptions) =>
  Effect.suspend(() => {
    const echo = (socket: Net.Socket) => void socket.on("error", () => {}).pipe(socket)
    return serve(tls === undefined ? Net.createServer(echo) : Tls.createServer(tls, echo), [])
  })

const fromConnect = ({ headers, url = "" }: Http.IncomingMessage): ProxyRequest => {
  const encoded = /^Basic (.+)$/.exec(headers["proxy-authorization"] ?? "")?.[1]
  return {
    target: url,
    credentials: encoded === undefined ? undefined : Buffer.from(encoded, "base64").toString(),
    headers
  }
}

const join = (near: Duplex, target: string, port: number | undefined, head: Buffer, opened: () => void): void => {
  const far = Net.connect(port ?? Number(/\d+$/.exec(target)![0]), "127.0.0.1")
  near.on("error", () => far.destroy())
  far.on("error", () => near.destroy())
  near.on("close", () => far.destroy())
  far.on("close", () => near.destroy())
  far.on("connect", () => {
    opened()
    far.write(head)
    near.pipe(far).pipe(near)
  })
}

const serve = (
  server: Net.Server,
  requests: ReadonlyArray<ProxyRequest>
): Effect.Effect<TestProxy, never, Scope.Scope> =>
  Effect.gen(function* () {
    const sockets: Array<Net.Socket> = []
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        server.close()
        for (const socket of sockets) socket.destroy()
      })
    )
    // A server of TLS tells of its connections twice: this is the one below.
    server.on("connection", (socket: Net.Socket) => void sockets.push(socket.on("error", () => {})))
    yield* event(server.listen(0, "127.0.0.1"), "listening")
    return { port: (server.address() as Net.AddressInfo).port, requests, sockets }
  })

const wantsCredentials =
  'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="test"\r\nContent-Length: 0\r\n\r\n'
