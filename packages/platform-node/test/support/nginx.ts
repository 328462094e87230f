/**
 * A real `nginx` as a reverse proxy in front of a server, with all that it writes in a temporary folder.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as Net from "node:net"
import * as Os from "node:os"
import * as Path from "node:path"
import { type Certificate, makeCertificate } from "./certificate.ts"
import { find, type Running, start } from "./programs.ts"
import { event, turn } from "./sockets.ts"

// A person's PATH often lacks the folders of the system's programs.
export const nginx = find("nginx", "/usr/sbin", "/usr/local/sbin")

export interface Proxy {
  /** The origin of the pages that it serves, `http://127.0.0.1:PORT`. */
  readonly origin: string
  readonly url: string
  /** The same over TLS. */
  readonly secureOrigin: string
  readonly secureUrl: string
  /** The certificate that a client of `secureUrl` has to trust. */
  readonly ca: string
}

/** What each location says besides its `proxy_pass`, by its path. */
export type Locations = Readonly<Record<string, ReadonlyArray<string>>>

/** Runs nginx in front of the port until the scope closes. */
export const proxyTo = (upstream: number, locations: Locations): Effect.Effect<Proxy, never, Scope.Scope> =>
  Effect.gen(function* () {
    const folder = yield* temporaryFolder
    const certificate = yield* makeCertificate(["localhost"], ["127.0.0.1"])
    writeCertificate(folder, certificate)
    // Somebody else may take a port before nginx does.
    const listening = Effect.retry(listen(folder, upstream, locations), { times: 3 })
    const { port, securePort } = yield* Effect.orDie(listening)
    return {
      origin: `http://127.0.0.1:${port}`,
      url: `ws://127.0.0.1:${port}`,
      secureOrigin: `https://127.0.0.1:${securePort}`,
      secureUrl: `wss://127.0.0.1:${securePort}`,
      ca: certificate.cert
    }
  })

const temporaryFolder = Effect.acquireRelease(
  Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-ws-nginx-"))),
  (folder) => Effect.sync(() => Fs.rmSync(folder, { recursive: true, force: true }))
)

const writeCertificate = (folder: string, { cert, key }: Certificate): void => {
  Fs.writeFileSync(Path.join(folder, "cert.pem"), cert)
  Fs.writeFileSync(Path.join(folder, "key.pem"), key, { mode: 0o600 })
}

interface Ports {
  readonly port: number
  readonly securePort: number
}

const listen = (folder: string, upstream: number, locations: Locations): Effect.Effect<Ports, Error, Scope.Scope> =>
  Effect.gen(function* () {
    const ports = yield* freePorts
    Fs.writeFileSync(Path.join(folder, "nginx.conf"), configuration(folder, ports, upstream, locations))
    const running = yield* start(nginx, ["-p", folder, "-c", "nginx.conf", "-e", "stderr"])
    yield* Effect.raceFirst(untilItAnswers(ports.port, folder), endsAtOnce(running))
    return ports
  })

// Both at once, else the system might give the same port twice.
const freePorts: Effect.Effect<Ports> = Effect.scoped(
  Effect.gen(function* () {
    const [one, other] = [yield* boundServer, yield* boundServer]
    return { port: portOf(one), securePort: portOf(other) }
  })
)

const boundServer = Effect.acquireRelease(
  Effect.sync(() => Net.createServer().listen(0, "127.0.0.1")),
  (server) =>
    Effect.zipRight(
      Effect.sync(() => server.close()),
      event(server, "close")
    )
).pipe(Effect.tap((server) => event(server, "listening")))

const portOf = (server: Net.Server) => (server.address() as Net.AddressInfo).port

const endsAtOnce = ({ ended }: Running): Effect.Effect<never, Error> =>
  Effect.flatMap(ended, ({ errors, status }) => Effect.fail(new Error(`nginx has ended with ${status}: ${errors}`)))

// The folder's name tells this nginx from whatever else may listen on the port.
const untilItAnswers = (port: number, folder: string): Effect.Effect<void> =>
  Effect.flatMap(get(`http://127.0.0.1:${port}/ready`), (body) =>
    body === folder
      ? Effect.void
      : Effect.zipRight(
          turn,
          Effect.suspend(() => untilItAnswers(port, folder))
        )
  )

const get = (url: string): Effect.Effect<string> =>
  Effect.async((resume) => {
    const request = Http.get(url, { agent: false }, (response) => {
      let body = ""
      response.setEncoding("utf8").on("data", (text: string) => (body += text))
      response.on("end", () => resume(Effect.succeed(body)))
    })
    request.on("error", () => resume(Effect.succeed("nothing listens there yet")))
    return Effect.sync(() => request.destroy())
  })

// One process, which is the same for root and for others, and leaves no workers behind when it is killed.
const configuration = (folder: string, { port, securePort }: Ports, upstream: number, locations: Locations): string => `
  daemon off;
  master_process off;
  pid nginx.pid;
  error_log stderr;
  events {}
  http {
    access_log off;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {
      listen 127.0.0.1:${port};
      listen 127.0.0.1:${securePort} ssl;
      ssl_certificate cert.pem;
      ssl_certificate_key key.pem;
      location = /ready { return 200 "${folder}"; }
      ${Object.entries(locations)
        .map(([path, lines]) => location(path, upstream, lines))
        .join("\n      ")}
    }
  }
`

const location = (path: string, upstream: number, lines: ReadonlyArray<string>): string =>
  `location ${path} { proxy_pass http://127.0.0.1:${upstream}; ${lines.map((line) => `${line};`).join(" ")} }`
