/**
 * The negotiation of permessage-deflate: what a client offers, what a server takes of it, and whether the answer fits the
 * offer. Compresses nothing: that is for a `DeflateCodec`.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7692#section-7.1
 * @since 0.1.0
 */
import type { Extension, Parameter } from "./Extension.ts"
import * as Extensions from "./Extension.ts"
import * as HandshakeFault from "./HandshakeFault.ts"

/**
 * The name of the extension.
 *
 * @since 0.1.0
 * @category constants
 */
export const name = "permessage-deflate"

/**
 * What an endpoint wants. A window of `n` bits has 2^n bytes, from 8 to 15; the smaller, the less memory on the other side
 * of it, and the less is found in it.
 *
 * @since 0.1.0
 * @category models
 */
export interface Wishes {
  /** Whether the server is to forget each message before it compresses the next one (7.1.1.1). */
  readonly serverNoContextTakeover: boolean
  /** Whether the client is to do so (7.1.1.2). */
  readonly clientNoContextTakeover: boolean
  /** The largest window with which the server may compress (7.1.2.1). */
  readonly serverMaxWindowBits: number
  /** The largest window with which the client may compress (7.1.2.2). */
  readonly clientMaxWindowBits: number
}

/**
 * What both sides have agreed on.
 *
 * @since 0.1.0
 * @category models
 */
export interface Parameters extends Wishes {}

/**
 * Writes offers, the preferred one first. Each says that this client understands any answer about its own window.
 *
 * @see https://www.rfc-editor.org/rfc/rfc7692#section-7.1.3
 * @since 0.1.0
 * @category client
 */
export const offer = (alternatives: ReadonlyArray<Wishes>): ReadonlyArray<Extension> =>
  alternatives.map((wishes) => ({
    name,
    parameters: [
      ...flags(wishes),
      ...(wishes.serverMaxWindowBits < 15 ? [bits(serverMaxWindowBits, wishes.serverMaxWindowBits)] : []),
      wishes.clientMaxWindowBits < 15
        ? bits(clientMaxWindowBits, wishes.clientMaxWindowBits)
        : flag(clientMaxWindowBits)
    ]
  }))

/**
 * Chooses among the offers of a client: the first one that can be taken, and the answer to it; `undefined` for none. An
 * offer that breaks the grammar of its parameters is passed over (7.1).
 *
 * @since 0.1.0
 * @category server
 */
export const choose = (
  offers: ReadonlyArray<Extension>,
  wishes: Wishes
): { readonly parameters: Parameters; readonly response: Extension } | undefined => {
  for (const extension of Extensions.named(offers, name)) {
    const parameters = parse(extension.parameters)
    const chosen = parameters === undefined ? undefined : take(parameters, wishes)
    if (chosen !== undefined) return chosen
  }
  return undefined
}

/**
 * Reads the answer of a server to the offers made of these alternatives: what was agreed on, `undefined` when the server
 * does without, or what is wrong with it, upon which the connection must fail.
 *
 * @since 0.1.0
 * @category client
 */
export const agree = (
  responses: ReadonlyArray<Extension>,
  alternatives: ReadonlyArray<Wishes>
): Parameters | undefined | HandshakeFault.Of<"ExtensionMismatch"> => {
  const answers = Extensions.named(responses, name)
  if (answers.length === 0) return undefined
  const answer = answers.length === 1 ? parse(answers[0]!.parameters) : undefined
  if (answer === undefined || answer.clientMaxWindowBits === true) return mismatch
  const wishes = alternatives.find((candidate) => fits(answer, candidate))
  return wishes === undefined ? mismatch : agreed(answer, wishes)
}

/** The parameters of an offer or an answer as they are written. */
interface Written {
  readonly serverNoContextTakeover: boolean
  readonly clientNoContextTakeover: boolean
  readonly serverMaxWindowBits: number | undefined
  /** Without a value, in an offer, any window is understood. */
  readonly clientMaxWindowBits: number | true | undefined
}

const mismatch = HandshakeFault.make("ExtensionMismatch", { extension: name })

const serverNoContextTakeover = "server_no_context_takeover"
const clientNoContextTakeover = "client_no_context_takeover"
const serverMaxWindowBits = "server_max_window_bits"
const clientMaxWindowBits = "client_max_window_bits"

// 7.1: unknown, repeated or malformed parameters decline an offer, and fail a connection in an answer.
const parse = (parameters: ReadonlyArray<Parameter>): Written | undefined => {
  const values = new Map(parameters.map(({ name, value }) => [name.toLowerCase(), value ?? true] as const))
  if (values.size !== parameters.length) return undefined
  for (const [name, value] of values) if (!isValid(name, value)) return undefined
  const client = values.get(clientMaxWindowBits)
  const server = values.get(serverMaxWindowBits)
  return {
    serverNoContextTakeover: values.has(serverNoContextTakeover),
    clientNoContextTakeover: values.has(clientNoContextTakeover),
    serverMaxWindowBits: server === undefined ? undefined : Number(server),
    clientMaxWindowBits: client === undefined || client === true ? client : Number(client)
  }
}

const isValid = (name: string, value: string | true): boolean => {
  if (name === serverNoContextTakeover || name === clientNoContextTakeover) return value === true
  if (name === clientMaxWindowBits && value === true) return true
  return (name === clientMaxWindowBits || name === serverMaxWindowBits) && value !== true && windowBits.test(value)
}

/** 7.1.2: a decimal without leading zeros, from 8 to 15. */
const windowBits = /^(?:[89]|1[0-5])$/

const take = (
  offered: Written,
  wishes: Wishes
): { readonly parameters: Parameters; readonly response: Extension } | undefined => {
  // 7.1.2.2: without a word of the client about its window, it can't be told to use a smaller one.
  if (offered.clientMaxWindowBits === undefined && wishes.clientMaxWindowBits < 15) return undefined
  const parameters: Parameters = {
    serverNoContextTakeover: offered.serverNoContextTakeover || wishes.serverNoContextTakeover,
    clientNoContextTakeover: offered.clientNoContextTakeover || wishes.clientNoContextTakeover,
    serverMaxWindowBits: Math.min(offered.serverMaxWindowBits ?? 15, wishes.serverMaxWindowBits),
    clientMaxWindowBits: Math.min(valueOf(offered.clientMaxWindowBits), wishes.clientMaxWindowBits)
  }
  const tellsServer = offered.serverMaxWindowBits !== undefined || parameters.serverMaxWindowBits < 15
  const tellsClient = offered.clientMaxWindowBits !== undefined && parameters.clientMaxWindowBits < 15
  const response = {
    name,
    parameters: [
      ...flags(parameters),
      // 7.1.2.1: who was asked for a window says which one it is.
      ...(tellsServer ? [bits(serverMaxWindowBits, parameters.serverMaxWindowBits)] : []),
      ...(tellsClient ? [bits(clientMaxWindowBits, parameters.clientMaxWindowBits)] : [])
    ]
  }
  return { parameters, response }
}

// 7.1.1.1, 7.1.2.1: the server has to confirm what was asked of it. 7.1.2.2: every offer of ours speaks of the window.
const fits = (answer: Written, wishes: Wishes): boolean =>
  (answer.serverNoContextTakeover || !wishes.serverNoContextTakeover) &&
  (answer.serverMaxWindowBits ?? 15) <= wishes.serverMaxWindowBits &&
  (answer.clientMaxWindowBits === undefined || valueOf(answer.clientMaxWindowBits) <= wishes.clientMaxWindowBits)

// 7.1.1.2, 7.1.2.2: a client may always forget, and may always use a smaller window, whether it is told to or not.
const agreed = (answer: Written, wishes: Wishes): Parameters => ({
  serverNoContextTakeover: answer.serverNoContextTakeover,
  clientNoContextTakeover: answer.clientNoContextTakeover || wishes.clientNoContextTakeover,
  serverMaxWindowBits: answer.serverMaxWindowBits ?? 15,
  clientMaxWindowBits: Math.min(valueOf(answer.clientMaxWindowBits), wishes.clientMaxWindowBits)
})

const valueOf = (bits: number | true | undefined): number => (typeof bits === "number" ? bits : 15)

const flags = (wishes: Wishes): ReadonlyArray<Parameter> => [
  ...(wishes.serverNoContextTakeover ? [flag(serverNoContextTakeover)] : []),
  ...(wishes.clientNoContextTakeover ? [flag(clientNoContextTakeover)] : [])
]

const flag = (name: string): Parameter => ({ name, value: undefined })

const bits = (name: string, value: number): Parameter => ({ name, value: String(value) })
