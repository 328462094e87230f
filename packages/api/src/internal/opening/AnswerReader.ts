/**
 * Reads what a server answers: the head that counts, behind any interim ones, and the body of one that declines.
 */
import * as HandshakeFault from "@effect-ws/core/HandshakeFault"
import * as HttpBody from "@effect-ws/core/HttpBody"
import * as HttpHead from "@effect-ws/core/HttpHead"
import * as UpgradeResponse from "@effect-ws/core/UpgradeResponse"
import type { ConnectionOptions } from "../../ConnectionOptions.ts"
import type { Reader } from "./Opening.ts"

export interface Answer {
  readonly head: HttpHead.ResponseHead
  /** Of an answer that declines. */
  readonly body: HttpBody.Body | undefined
}

type Step = HttpHead.NeedMore | HttpHead.Decoded<Answer> | HandshakeFault.HandshakeFault

export class AnswerReader implements Reader<Answer> {
  private readonly heads: HttpHead.Decoder<HttpHead.ResponseHead>
  private readonly maxBodySize: number
  private declining: { readonly head: HttpHead.ResponseHead; readonly body: HttpBody.Decoder } | undefined = undefined
  private interim = 0

  constructor({ maxBodySize, maxHeadFields, maxHeadSize }: ConnectionOptions) {
    this.heads = HttpHead.responseDecoder({ maxSize: maxHeadSize, maxFields: maxHeadFields })
    this.maxBodySize = maxBodySize
  }

  get held(): number {
    return this.heads.held
  }

  push(chunk: Uint8Array): Step {
    if (this.declining !== undefined) return this.pushBody(this.declining, chunk)
    const result = this.heads.push(chunk)
    if (result._tag !== "Decoded") return result
    const { head, leftover } = result
    if (UpgradeResponse.isInterim(head)) return this.skip(leftover)
    this.interim = 0
    if (head.status === 101) return { _tag: "Decoded", head: { head, body: undefined }, leftover }
    this.declining = { head, body: HttpBody.responseDecoder(head, { maxSize: this.maxBodySize }) }
    return this.pushBody(this.declining, leftover)
  }

  finish(atEnd: boolean): Answer | undefined {
    if (this.declining === undefined) return undefined
    const { body, head } = this.declining
    this.declining = undefined
    return { head, body: body.end(atEnd) }
  }

  private skip(leftover: Uint8Array): Step {
    if (++this.interim > maxInterim) return HandshakeFault.make("TooManyInterimResponses", { limit: maxInterim })
    return this.push(leftover)
  }

  private pushBody({ body, head }: NonNullable<typeof this.declining>, chunk: Uint8Array): Step {
    const result = body.push(chunk)
    if (result._tag === "NeedMore") return result
    this.declining = undefined
    return { _tag: "Decoded", head: { head, body: result.body }, leftover: result.leftover }
  }
}

/** How many interim responses (1xx) are skipped before the one that counts. */
const maxInterim = 16
