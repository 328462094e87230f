// The only two names that core takes from its surroundings. Every JavaScript runtime of today has them; declaring them
// here, instead of loading the types of one runtime, keeps all others out.
declare class TextEncoder {
  encodeInto(source: string, destination: Uint8Array): { read: number; written: number }
}
declare class TextDecoder {
  constructor(label: "utf-8", options: { ignoreBOM: boolean })
  decode(bytes: Uint8Array): string
}
