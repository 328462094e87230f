/**
 * How a refusal goes out: decorated, named, and in any case as something that can be sent.
 */
import * as HandshakeFault from "@effect-ws/core/HandshakeFault"
import type * as Headers from "@effect-ws/core/Headers"
import * as Refusal from "@effect-ws/core/Refusal"
import * as Either from "effect/Either"
import type { IncomingRequest, OutgoingResponse, ResponseDecorator } from "../../Decorator.ts"
import type { AcceptOptions } from "../../AcceptOptions.ts"
import * as answers from "./answers.ts"

export interface Encoded {
  readonly bytes: Uint8Array
  /** What a decorator threw, or why the refusal could not be sent as it was. */
  readonly defect: unknown
}

export const encode = (
  refusal: Refusal.Refusal,
  { decorate, server }: Pick<AcceptOptions, "decorate" | "server">,
  request: IncomingRequest | undefined,
  keepAlive: boolean
): Encoded => {
  const options = { keepAlive, omitBody: request?.method === "HEAD", server }
  const decorated = decorateWith(decorate, refusal, request)
  if (Either.isLeft(decorated)) return instead(options, decorated.left)
  const bytes = Refusal.encode(decorated.right, options)
  return HandshakeFault.is(bytes) ? instead(options, new Error(bytes.message)) : { bytes, defect: undefined }
}

/** A 101 that a decorator gave another status: a refusal, and the decorator has seen it. */
export const fromDecorated = ({ body, headers, status }: OutgoingResponse): Refusal.Refusal => {
  const refusal = answers.make(status, withoutUpgrade(headers), body)
  seen.add(refusal)
  return refusal
}

const decorateWith = (
  decorator: ResponseDecorator | undefined,
  refusal: Refusal.Refusal,
  request: IncomingRequest | undefined
): Either.Either<Refusal.Refusal, unknown> => {
  if (decorator === undefined || seen.has(refusal)) return Either.right(refusal)
  const { body, fields: headers, status } = refusal
  return Either.try({
    try: () => replace(refusal, decorator({ status, headers, body }, request)),
    catch: (defect) => defect
  })
}

const replace = (
  { reasonPhrase, status: before }: Refusal.Refusal,
  { body, headers, status }: OutgoingResponse
): Refusal.Refusal => ({
  ...answers.make(status, headers, body),
  reasonPhrase: status === before ? reasonPhrase : undefined
})

// What can't be sent may be the name of the server.
const instead = (options: Refusal.EncodeOptions, defect: unknown): Encoded => {
  const named = Refusal.encode(answers.internalError, options)
  const bytes = HandshakeFault.is(named) ? Refusal.encode(answers.internalError, { ...options, server: false }) : named
  return { bytes: bytes as Uint8Array, defect }
}

const withoutUpgrade = (headers: Headers.Headers): Headers.Headers =>
  headers.filter(([name]) => !/^(upgrade|connection|sec-websocket-.*)$/i.test(name))

const seen = new WeakSet<Refusal.Refusal>()
