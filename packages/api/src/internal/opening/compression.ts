/**
 * What the two sides agree on about compression, in the words of an opening handshake.
 */
import type { DeflateCodec } from "@effect-ws/core/DeflateCodec"
import type { Extension } from "@effect-ws/core/Extension"
import * as HandshakeFault from "@effect-ws/core/HandshakeFault"
import * as Negotiation from "@effect-ws/core/PermessageDeflate"
import type { Deflate } from "@effect-ws/core/Protocol"
import * as PermessageDeflate from "../../PermessageDeflate.ts"

/** What a server answers, and how its connection compresses. */
export interface Chosen {
  readonly extensions: ReadonlyArray<Extension>
  readonly deflate: Deflate | undefined
}

const nothing: Chosen = { extensions: [], deflate: undefined }

export const choose = (
  offers: ReadonlyArray<Extension>,
  setting: PermessageDeflate.Setting | undefined,
  codec: DeflateCodec | undefined
): Chosen => {
  if (codec === undefined || setting === undefined || setting === false) return nothing
  const [wishes] = PermessageDeflate.alternatives(setting)
  if (wishes === undefined) return nothing
  // Where there is no room to remember more of what peers have sent, the next one is told to forget.
  const chosen = Negotiation.choose(offers, codec.hasRoom ? wishes : { ...wishes, clientNoContextTakeover: true })
  if (chosen === undefined) return nothing
  const { parameters, response } = chosen
  return { extensions: [response], deflate: { codec, parameters, threshold: wishes.threshold } }
}

/** What a client offers. */
export const offer = (
  setting: PermessageDeflate.Setting | undefined,
  codec: DeflateCodec | undefined
): ReadonlyArray<Extension> => (codec === undefined ? [] : Negotiation.offer(PermessageDeflate.alternatives(setting)))

/** What the answer to that comes to. */
export const agree = (
  answers: ReadonlyArray<Extension>,
  setting: PermessageDeflate.Setting | undefined,
  codec: DeflateCodec | undefined
): Deflate | undefined | HandshakeFault.Of<"ExtensionMismatch"> => {
  if (codec === undefined) return undefined
  const alternatives = PermessageDeflate.alternatives(setting)
  const parameters = Negotiation.agree(answers, alternatives)
  if (parameters === undefined || "_tag" in parameters) return parameters
  // The answer is one to the first that it fits.
  const taken = alternatives.find((alternative) => !HandshakeFault.is(Negotiation.agree(answers, [alternative])))!
  return { codec, parameters, threshold: taken.threshold }
}
