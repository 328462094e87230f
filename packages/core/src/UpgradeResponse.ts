/**
 * The server's half of an opening handshake that succeeds: built by a server that accepts, validated by the client that
 * asked. A response is refused for the first check it fails, in the order of RFC 6455 4.1. How a server declines is in
 * `Refusal`.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
 * @since 0.1.0
 */
import * as AcceptKey from "./AcceptKey.ts"
import * as Extension from "./Extension.ts"
import * as HandshakeFault from "./HandshakeFault.ts"
import * as Headers from "./Headers.ts"
import * as HttpHead from "./HttpHead.ts"
import { concat } from "./internal/Bytes.ts"
import * as Latin1 from "./internal/Latin1.ts"
import * as ServerField from "./internal/ServerField.ts"
import * as UpgradeFields from "./internal/UpgradeFields.ts"
import type { UpgradeRequest } from "./UpgradeRequest.ts"

/**
 * A response that completes the opening handshake.
 *
 * @since 0.1.0
 * @category models
 */
export interface UpgradeResponse {
  /** The discriminant. */
  readonly _tag: "UpgradeResponse"
  /** The status: always 101. */
  readonly status: number
  /** The text behind the status. */
  readonly reasonPhrase: string
  /** The HTTP version: `1.1` or later. */
  readonly version: string
  /** The subprotocol in use, one of the offers; undefined when none was chosen. */
  readonly subprotocol?: string | undefined
  /** The extensions in use, each named among the offers. */
  readonly extensions: ReadonlyArray<Extension.Extension>
  /** All field lines, those above included. */
  readonly fields: Headers.Headers
}

/**
 * What a server accepts with.
 *
 * @since 0.1.0
 * @category models
 */
export interface Options {
  /** The chosen subprotocol, which must be among the offers. Default none. */
  readonly subprotocol?: string | undefined
  /** The chosen extensions, whose names must be among the offers. Default none. */
  readonly extensions?: ReadonlyArray<Extension.Extension> | undefined
  /** Fields to send besides, after ours. Those that make the upgrade or announce a body are refused. Default none. */
  readonly fields?: Headers.Headers | undefined
  /** The `Server` field unless `fields` has one; `false` for none. Default `effect-ws`. */
  readonly server?: string | false | undefined
}

/**
 * Builds the response that accepts a request, or says what in the options can't be sent.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-4.2.2
 * @since 0.1.0
 * @category constructors
 */
export const accept = (
  request: UpgradeRequest,
  options: Options = {}
): UpgradeResponse | HandshakeFault.CallerFault => {
  const { extensions = [], fields = [], server, subprotocol } = options
  const all = ServerField.add(fields, server)
  const fault = checkChoice(request, subprotocol, extensions) ?? UpgradeFields.checkOwn(all, reserved)
  if (fault !== undefined) return fault
  return {
    _tag: "UpgradeResponse",
    status: 101,
    reasonPhrase: "Switching Protocols",
    version: "1.1",
    subprotocol,
    extensions,
    fields: [...ownFields(request.key, subprotocol, extensions), ...all]
  }
}

/**
 * Returns the response with other fields, if those of the upgrade are still what they were: everything else may be
 * added, replaced and taken away. No `Server` field is added unless the option is given, as `accept` has done it.
 *
 * @since 0.1.0
 * @category combinators
 */
export const decorate = (
  response: UpgradeResponse,
  fields: Headers.Headers,
  options: Pick<Options, "server"> = { server: false }
): UpgradeResponse | HandshakeFault.CallerFault => {
  const all = ServerField.add(fields, options.server)
  return UpgradeFields.checkKept(response.fields, all, reserved) ?? { ...response, fields: all }
}

/**
 * How a response is written.
 *
 * @since 0.1.0
 * @category models
 */
export interface EncodeOptions {
  /** Whether a 100 (Continue) goes ahead, as {@link UpgradeRequest.expectsContinue} asks for. Default false. */
  readonly continues?: boolean | undefined
}

/**
 * Writes a response. The bytes are the caller's.
 *
 * **Details**
 *
 * Never fails for a response from {@link accept}, {@link decorate} or {@link validate}.
 *
 * @since 0.1.0
 * @category encoding
 */
export const encode = (response: UpgradeResponse, options: EncodeOptions = {}): Uint8Array | HttpHead.EncodeFault => {
  const head = HttpHead.encodeResponse(response)
  return options.continues === true && !HandshakeFault.is(head) ? concat(Latin1.encode(continueHead), head) : head
}

/**
 * Validates the head of a response to a request: the response, or the first check it fails.
 *
 * **Details**
 *
 * A `Content-Length` on a 101 is ignored (RFC 9110 15.2): what follows the head are frames. That the server chose no
 * subprotocol is no fault, whatever was offered.
 *
 * @see https://www.rfc-editor.org/rfc/rfc6455#section-4.1
 * @since 0.1.0
 * @category validation
 */
export const validate = (
  head: HttpHead.ResponseHead,
  request: UpgradeRequest
): UpgradeResponse | HandshakeFault.ResponseFault => {
  const fault = checkUpgraded(head, request)
  if (fault !== undefined) return fault
  const extensions = chosenExtensions(head.fields, request.extensions)
  if (HandshakeFault.is(extensions)) return extensions
  const subprotocol = chosenSubprotocol(head.fields, request.subprotocols)
  if (HandshakeFault.is(subprotocol)) return subprotocol
  const { fields, reasonPhrase, status, version } = head
  return { _tag: "UpgradeResponse", status, reasonPhrase, version, subprotocol, extensions, fields }
}

/**
 * Says whether a response only announces another one: 1xx, but not 101. A client skips it, within a bound of its own.
 *
 * @see https://www.rfc-editor.org/rfc/rfc9110#section-15.2
 * @since 0.1.0
 * @category guards
 */
export const isInterim = ({ status }: HttpHead.ResponseHead): boolean => status >= 100 && status < 200 && status !== 101

const checkChoice = (
  request: UpgradeRequest,
  subprotocol: string | undefined,
  extensions: ReadonlyArray<Extension.Extension>
): HandshakeFault.CallerFault | undefined => {
  // 4.2.2 item 5.4: a subprotocol that was not offered can't be chosen; what was offered is a token.
  if (subprotocol !== undefined && !request.subprotocols.includes(subprotocol)) {
    return HandshakeFault.make("SubprotocolNotOffered", { subprotocol })
  }
  const valid = Extension.validate(extensions)
  if (HandshakeFault.is(valid)) return valid
  // 9.1: the same for extensions.
  const unknown = notOffered(extensions, request.extensions)
  return unknown === undefined ? undefined : HandshakeFault.make("ExtensionNotOffered", { extension: unknown })
}

const ownFields = (
  key: string,
  subprotocol: string | undefined,
  extensions: ReadonlyArray<Extension.Extension>
): Headers.Headers => {
  const own: Array<Headers.Field> = [upgrade, connection, ["Sec-WebSocket-Accept", AcceptKey.derive(key)]]
  if (subprotocol !== undefined) own.push(["Sec-WebSocket-Protocol", subprotocol])
  if (extensions.length > 0) own.push(["Sec-WebSocket-Extensions", Extension.format(extensions)])
  return own
}

// The same for all responses: each connection holds its own.
const upgrade: Headers.Field = ["Upgrade", "websocket"]
const connection: Headers.Field = ["Connection", "Upgrade"]

/** 4.1: the checks that don't depend on what was offered, in order. */
const checkUpgraded = (
  { fields, status, version }: HttpHead.ResponseHead,
  { key }: UpgradeRequest
): HandshakeFault.ResponseFault | undefined => {
  if (status !== 101) return HandshakeFault.make("Status", { status })
  return (
    UpgradeFields.checkVersion("response", version) ??
    UpgradeFields.checkUpgrade("response", fields) ??
    UpgradeFields.checkConnection("response", fields) ??
    checkAccept(fields, key)
  )
}

// 4.1: the accept value, exactly. 11.3.3: at most once.
const checkAccept = (fields: Headers.Headers, key: string): HandshakeFault.ResponseFault | undefined => {
  const value = Headers.single(fields, "Sec-WebSocket-Accept")
  if (HandshakeFault.is(value)) return value
  if (value === undefined) return HandshakeFault.make("MissingAccept", {})
  return value === AcceptKey.derive(key) ? undefined : HandshakeFault.make("WrongAccept", {})
}

// 4.1: no extension that was not offered. Whether the parameters fit is for the extension to say.
const chosenExtensions = (
  fields: Headers.Headers,
  offers: ReadonlyArray<Extension.Extension>
): ReadonlyArray<Extension.Extension> | HandshakeFault.ResponseFault => {
  const extensions = Extension.parse(fields)
  if (HandshakeFault.is(extensions)) return extensions
  const unknown = notOffered(extensions, offers)
  return unknown === undefined ? extensions : HandshakeFault.make("UnrequestedExtension", { extension: unknown })
}

// 4.1: no subprotocol that was not offered. 11.3.4: one at most in a response.
const chosenSubprotocol = (
  fields: Headers.Headers,
  offers: ReadonlyArray<string>
): string | undefined | HandshakeFault.ResponseFault => {
  const field = "Sec-WebSocket-Protocol"
  if (!Headers.has(fields, field)) return undefined
  const chosen = Headers.tokens(fields, field)
  if (HandshakeFault.is(chosen)) return chosen
  if (chosen.length === 0) return HandshakeFault.make("MalformedField", { field })
  if (chosen.length > 1) return HandshakeFault.make("MultipleSubprotocols", {})
  const [subprotocol] = chosen
  return offers.includes(subprotocol) ? subprotocol : HandshakeFault.make("UnrequestedSubprotocol", { subprotocol })
}

const notOffered = (
  extensions: ReadonlyArray<Extension.Extension>,
  offers: ReadonlyArray<Extension.Extension>
): string | undefined => extensions.find(({ name }) => Extension.named(offers, name).length === 0)?.name

// RFC 9110 15.2.1: it says nothing but "go on", and has no fields of its own.
const continueHead = "HTTP/1.1 100 Continue\r\n\r\n"

/** The fields a server may not set by hand, besides those that begin with `Sec-WebSocket-`. RFC 9110 8.6: no length. */
const reserved = ["Upgrade", "Connection", "Content-Length", "Transfer-Encoding"]
