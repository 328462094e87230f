/** Compressed payloads as a peer sends them. */
import * as Zlib from "node:zlib"

/** RSV1 in the three reserved bits of a frame. */
export const rsv1 = 4

/** Compresses as 7.2.1 says, without regard to earlier messages. */
export const deflated = (bytes: Uint8Array | string, options: Zlib.ZlibOptions = {}): Uint8Array => {
  const all = Zlib.deflateRawSync(bytes, { finishFlush: Zlib.constants.Z_SYNC_FLUSH, ...options })
  return new Uint8Array(all.subarray(0, all.length - 4))
}
