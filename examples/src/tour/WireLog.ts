/**
 * Reads along with a client's connection and prints it for a person: both heads, then every frame, with the decoders of
 * `@effect-ws/core`.
 */
import { portable } from "@effect-ws/core/ByteOps"
import * as CloseReason from "@effect-ws/core/CloseReason"
import * as Frame from "@effect-ws/core/Frame"
import * as FrameDecoder from "@effect-ws/core/FrameDecoder"
import * as HttpHead from "@effect-ws/core/HttpHead"
import type { Role } from "@effect-ws/core/Role"
import * as Text from "../cli/Text.ts"
import type { Style } from "./Style.ts"
import type { Observer } from "./TapTransport.ts"

type Print = (line: string) => void

/** Makes the observer of one connection. */
export const make = (print: Print, style: Style): Observer => {
  const sent = (line: string) => print(style.sent(`  → ${line}`))
  const received = (line: string) => print(style.received(`  ← ${line}`))
  const request = new Direction(HttpHead.requestDecoder(), "server", sent)
  const response = new Direction(HttpHead.responseDecoder(), "client", received)
  return { sent: (bytes) => request.push(bytes), received: (bytes) => response.push(bytes) }
}

type Head = HttpHead.RequestHead | HttpHead.ResponseHead

/** What goes one way: a head, then frames, or the body of a refusal. */
class Direction {
  private readonly heads: HttpHead.Decoder<Head>
  private readonly frames: FrameDecoder.FrameDecoder
  private readonly isMasked: boolean
  private readonly print: Print
  private phase: "head" | "body" | "frames" = "head"
  private preview: Array<number> = []

  /** The role is that of the end where the bytes go. */
  constructor(heads: HttpHead.Decoder<Head>, role: Role, print: Print) {
    this.heads = heads
    this.frames = new FrameDecoder.FrameDecoder(role, portable)
    this.isMasked = role === "server"
    this.print = print
  }

  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return
    if (this.phase === "head") this.pushHead(bytes)
    else if (this.phase === "frames") this.pushFrames(bytes)
    else this.print(Text.quote(new TextDecoder().decode(bytes)))
  }

  private pushHead(bytes: Uint8Array): void {
    const result = this.heads.push(bytes)
    if (result._tag === "NeedMore") return
    if (result._tag !== "Decoded") return this.print(result.message)
    const { head, leftover } = result
    this.print(startLine(head))
    for (const [name, value] of head.fields) this.print(`${name}: ${value}`)
    this.phase = head._tag === "ResponseHead" && head.status !== 101 ? "body" : "frames"
    this.push(leftover)
  }

  private pushFrames(bytes: Uint8Array): void {
    this.frames.push(bytes)
    while (true) {
      const step = this.frames.next()
      if (step === FrameDecoder.NeedMore) return
      if (step === FrameDecoder.Fault) return this.print(this.frames.fault!.message)
      this.pushPiece(bytes)
    }
  }

  private pushPiece(bytes: Uint8Array): void {
    const { begins, end, ends, start } = this.frames
    if (begins) this.preview = []
    this.preview.push(...bytes.subarray(start, Math.min(end, start + previewSize - this.preview.length)))
    if (ends) this.print(this.describeFrame())
  }

  private describeFrame(): string {
    const { fin, opcode, payloadLength } = this.frames
    const columns = [
      `0x${opcode.toString(16)} ${names[opcode]}`.padEnd(16),
      fin ? "fin" : "   ",
      (this.isMasked ? "masked" : "").padEnd(6),
      `${payloadLength} bytes`.padStart(12),
      describePayload(opcode, Uint8Array.from(this.preview), payloadLength)
    ]
    return columns.join("  ").trimEnd()
  }
}

const startLine = (head: Head): string =>
  head._tag === "RequestHead"
    ? `${head.method} ${head.target} HTTP/${head.version}`
    : `HTTP/${head.version} ${head.status} ${head.reasonPhrase}`

const describePayload = (opcode: number, preview: Uint8Array, length: number): string => {
  const text = new TextDecoder().decode(preview, { stream: preview.length < length })
  if (opcode === Frame.Text) return Text.quote(text)
  if (opcode !== Frame.Close) return /^[ -~]+$/.test(text) ? Text.quote(text) : Text.hex(preview)
  const reason = CloseReason.decode(preview, portable)
  return "_tag" in reason ? reason.message : Text.closeReason(reason)
}

const names: Record<number, string> = {
  [Frame.Continuation]: "Continuation",
  [Frame.Text]: "Text",
  [Frame.Binary]: "Binary",
  [Frame.Close]: "Close",
  [Frame.Ping]: "Ping",
  [Frame.Pong]: "Pong"
}

/** In bytes: what is kept of a payload. A control frame fits. */
const previewSize = 125
