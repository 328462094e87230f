// The names of the web platform that the WHATWG class takes from its surroundings, as far as it uses them. See `globals.d.ts`.
declare class Event {
  constructor(type: string)
  readonly type: string
}
declare class EventTarget {
  addEventListener(type: string, listener: (event: Event) => unknown): void
  removeEventListener(type: string, listener: (event: Event) => unknown): void
  dispatchEvent(event: Event): boolean
}
declare class MessageEvent extends Event {
  constructor(type: string, init: { readonly data: unknown; readonly origin: string })
}
declare class DOMException extends Error {
  constructor(message: string, name: string)
}
declare class Blob {
  constructor(parts: ReadonlyArray<Uint8Array>)
  readonly size: number
  arrayBuffer(): Promise<ArrayBuffer>
}
interface MessagePort {
  onmessage: (() => void) | null
  postMessage(message: number): void
  close(): void
  unref?(): void
}
declare class MessageChannel {
  readonly port1: MessagePort
  readonly port2: MessagePort
}
interface URL {
  readonly origin: string
}
