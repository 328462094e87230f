/**
 * `curl` as an HTTP/1.1 client, with what it made of the answer.
 */
import * as Effect from "effect/Effect"
import { find, run, start } from "./programs.ts"

export const curl = find("curl")

/** An answer as curl saw it. */
export interface CurlAnswer {
  /** 0 when curl has found nothing wrong, with the answer or with the end of the connection. */
  readonly exitStatus: number | null
  readonly errors: string
  /** The status that curl reports. */
  readonly status: number
  readonly statusLine: string
  /** The fields by name in lower case. */
  readonly fields: Readonly<Record<string, string>>
  readonly body: string
}

// "--disable" comes first: nothing of the person's own ~/.curlrc counts.
const always = ["--disable", "--silent", "--show-error", "--http1.1", "--noproxy", "*"]

const report = ["--write-out", "%{stderr}%{http_code}\n"]

/** Sends a request and waits for the end of curl. */
export const ask = (url: string, ...args: ReadonlyArray<string>): Effect.Effect<CurlAnswer> =>
  Effect.map(run(curl, [...always, "--include", ...report, ...args, url]), (ended) => {
    const [head = "", ...rest] = ended.output.split("\r\n\r\n")
    const [status, ...errors] = ended.errors.split("\n").reverse().slice(1)
    return {
      exitStatus: ended.status,
      errors: errors.reverse().join("\n"),
      status: Number(status),
      ...readHead(head.split("\r\n")),
      body: rest.join("\r\n\r\n")
    }
  })

/** Sends a request that is accepted, and takes the head of the answer. `nextLine` is what comes behind it. */
export const askForUpgrade = (url: string, ...args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    // Without "--dump-header" curl keeps the head to itself until more comes.
    const { nextLine } = yield* start(curl, [...always, "--no-buffer", "--dump-header", "-", ...args, url])
    const lines: Array<string> = []
    let line = yield* nextLine
    for (; line !== ""; line = yield* nextLine) lines.push(line)
    return { ...readHead(lines), nextLine }
  })

/** The arguments for fields. */
export const fields = (record: Readonly<Record<string, string>>): ReadonlyArray<string> =>
  Object.entries(record).flatMap(([name, value]) => ["--header", `${name}: ${value}`])

const readHead = ([statusLine = "", ...lines]: ReadonlyArray<string>) => ({
  statusLine,
  fields: Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(":")
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()]
    })
  )
})
