/** Pairs of transports of every kind, joined: what one writes the other reads. */
import * as MemoryTransport from "@effect-ws/api/testing/MemoryTransport"
import type { Transport } from "@effect-ws/api/Transport"
import * as NodeTransport from "@effect-ws/platform-node/NodeTransport"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { once } from "node:events"
import * as Net from "node:net"
import { Duplex } from "node:stream"
import * as Tls from "node:tls"
import { makeCertificate } from "./certificate.ts"
import { socketPath } from "./sockets.ts"

export interface TransportPair {
  /** The end of who connects. */
  readonly client: Transport
  /** The end of who listens. */
  readonly server: Transport
}

type Made = Effect.Effect<TransportPair, never, Scope.Scope>

/** Connects to a server that listens already, which takes this one connection. */
const join = (server: Net.Server, event: string, connect: () => Net.Socket, connected: string): Made =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      await once(server, "listening")
      const near = connect()
      const [[far]] = (await Promise.all([once(server, event), once(near, connected)])) as [[Net.Socket], unknown]
      server.close()
      return [near, far] as const
    }),
    ([near, far]) =>
      Effect.sync(() => {
        near.destroy()
        far.destroy()
      })
  ).pipe(Effect.map(([near, far]) => ({ client: NodeTransport.make(near), server: NodeTransport.make(far) })))

const listen = <Server extends Net.Server>(server: Server, path?: string): Server =>
  path === undefined ? server.listen(0, "127.0.0.1") : server.listen(path)

const portOf = (server: Net.Server): number => (server.address() as Net.AddressInfo).port

const half = { allowHalfOpen: true, pauseOnConnect: true }

const tcp: Made = Effect.suspend(() => {
  const server = listen(Net.createServer(half))
  return join(server, "connection", () => Net.connect(portOf(server), "127.0.0.1"), "connect")
})

const unix: Made = Effect.flatMap(socketPath, (path) =>
  join(listen(Net.createServer(half), path), "connection", () => Net.connect(path), "connect")
)

const tls: Made = Effect.flatMap(makeCertificate(["localhost"]), ({ cert, key }) => {
  const server = listen(Tls.createServer({ cert, key, allowHalfOpen: true }))
  const connect = () => Tls.connect({ host: "127.0.0.1", port: portOf(server), servername: "localhost", ca: cert })
  return join(server, "secureConnection", connect, "secureConnect")
})

/** One end of two that know no sockets: a write is done when the other end has read it. */
class JoinedDuplex extends Duplex {
  other!: JoinedDuplex
  private onRead: (() => void) | undefined

  override _read(): void {
    const onRead = this.onRead
    this.onRead = undefined
    if (onRead !== undefined) setImmediate(onRead)
  }

  override _write(chunk: Buffer, _: BufferEncoding, done: () => void): void {
    this.other.onRead = done
    this.other.push(chunk)
  }

  override _final(done: () => void): void {
    this.other.push(null)
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.writableEnded && !this.other.destroyed) this.other.push(null)
    done(error)
  }
}

const duplexes: Made = Effect.acquireRelease(
  Effect.sync(() => {
    const near = new JoinedDuplex()
    const far = new JoinedDuplex()
    near.other = far
    far.other = near
    return [near, far] as const
  }),
  ([near, far]) =>
    Effect.sync(() => {
      near.destroy()
      far.destroy()
    })
).pipe(Effect.map(([near, far]) => ({ client: NodeTransport.make(near), server: NodeTransport.make(far) })))

const memory: Made = Effect.acquireRelease(MemoryTransport.make({ readSize: 64 * 1024 }), ({ client, server }) =>
  Effect.sync(() => {
    client.destroy()
    server.destroy()
  })
)

/** How each kind is made, by its name. */
export const transportPairs: Readonly<Record<string, Made>> = {
  MemoryTransport: memory,
  TCP: tcp,
  TLS: tls,
  "a unix socket": unix,
  "a pair of Duplex": duplexes
}
