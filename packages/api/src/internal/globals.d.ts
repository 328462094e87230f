// The names that api takes from its surroundings. Every JavaScript runtime of today has them; declaring them here,
// instead of loading the types of one runtime, keeps all others out.
declare const crypto: { getRandomValues(bytes: Uint8Array): Uint8Array }
declare function queueMicrotask(callback: () => void): void
declare class URL {
  constructor(url: string, base?: string)
  readonly href: string
  readonly protocol: string
  readonly username: string
  readonly password: string
  readonly hostname: string
  readonly host: string
  readonly port: string
  readonly pathname: string
  readonly search: string
  readonly hash: string
}
declare class TextDecoder {
  constructor(label: string, options: { readonly ignoreBOM: boolean })
  decode(bytes: Uint8Array, options: { readonly stream: boolean }): string
}
declare class TextEncoder {
  encode(text: string): Uint8Array
}
