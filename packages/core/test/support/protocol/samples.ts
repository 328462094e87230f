/** RFC 6455 5.7: the samples of the RFC, byte for byte, read and written. */
import { assert, describe, it } from "vitest"
import type { ByteOps } from "../../../src/ByteOps.ts"
import { endpoint, eventsOf, inEveryCut, outputOf } from "../Endpoints.ts"
import { concat, hex, toHex } from "../Hex.ts"

// The masking key of the samples, as a number.
const key = 0x37fa213d
const bytes256 = new Uint8Array(256).fill(0x61)
const bytes64Ki = new Uint8Array(65536).fill(0x62)

export const samples = (byteOps: ByteOps): void => {
  const client = () => endpoint("client", byteOps, { maskingKeys: () => key })
  const server = () => endpoint("server", byteOps)

  describe("5.7 examples", () => {
    it("client receives an unmasked text message", () => {
      const outcome = inEveryCut(client, hex("81 05 48 65 6c 6c 6f"))
      assert.deepStrictEqual(outcome.events, ["Text Hello"])
      assert.strictEqual(outcome.output, "")
    })

    it("server receives a masked text message", () => {
      const outcome = inEveryCut(server, hex("81 85 37 fa 21 3d 7f 9f 4d 51 58"))
      assert.deepStrictEqual(outcome.events, ["Text Hello"])
      assert.strictEqual(outcome.output, "")
    })

    it("client receives a fragmented unmasked text message", () => {
      const outcome = inEveryCut(client, hex("01 03 48 65 6c 80 02 6c 6f"))
      assert.deepStrictEqual(outcome.events, ["Text Hello"])
    })

    it("server receives a fragmented masked text message", () => {
      const outcome = inEveryCut(server, hex("01 83 37 fa 21 3d 7f 9f 4d 80 82 37 fa 21 3d 5b 95"))
      assert.deepStrictEqual(outcome.events, ["Text Hello"])
    })

    it("client answers an unmasked Ping with a masked Pong", () => {
      const outcome = inEveryCut(client, hex("89 05 48 65 6c 6c 6f"))
      assert.deepStrictEqual(outcome.events, ["Ping 48 65 6c 6c 6f"])
      assert.strictEqual(outcome.output, "8a 85 37 fa 21 3d 7f 9f 4d 51 58")
    })

    it("server answers a masked Ping with an unmasked Pong", () => {
      const outcome = inEveryCut(server, hex("89 85 37 fa 21 3d 7f 9f 4d 51 58"))
      assert.deepStrictEqual(outcome.events, ["Ping 48 65 6c 6c 6f"])
      assert.strictEqual(outcome.output, "8a 05 48 65 6c 6c 6f")
    })

    it("server receives a masked Pong", () => {
      const outcome = inEveryCut(server, hex("8a 85 37 fa 21 3d 7f 9f 4d 51 58"))
      assert.deepStrictEqual(outcome.events, ["Pong 48 65 6c 6c 6f"])
      assert.strictEqual(outcome.output, "")
    })

    it("client receives 256 bytes behind a length of 16 bits", () => {
      const outcome = inEveryCut(client, concat([hex("82 7e 01 00"), bytes256]))
      assert.deepStrictEqual(outcome.events, [`Binary ${toHex(bytes256)}`])
    })

    it("client receives 64 KiB behind a length of 64 bits", () => {
      const outcome = inEveryCut(client, concat([hex("82 7f 00 00 00 00 00 01 00 00"), bytes64Ki]))
      assert.deepStrictEqual(outcome.events, [`Binary ${toHex(bytes64Ki)}`])
    })

    it("client sends a text message masked", () => {
      const protocol = client()
      protocol.sendText("Hello")
      assert.strictEqual(toHex(outputOf(protocol)), "81 85 37 fa 21 3d 7f 9f 4d 51 58")
    })

    it("server sends a text message unmasked", () => {
      const protocol = server()
      protocol.sendText("Hello")
      assert.strictEqual(toHex(outputOf(protocol)), "81 05 48 65 6c 6c 6f")
    })

    it("client sends a Ping masked", () => {
      const protocol = client()
      protocol.ping(hex("48 65 6c 6c 6f"))
      assert.strictEqual(toHex(outputOf(protocol)), "89 85 37 fa 21 3d 7f 9f 4d 51 58")
    })

    it("server sends a Ping unmasked", () => {
      const protocol = server()
      protocol.ping(hex("48 65 6c 6c 6f"))
      assert.strictEqual(toHex(outputOf(protocol)), "89 05 48 65 6c 6c 6f")
    })

    it("server sends 256 bytes behind a length of 16 bits", () => {
      const protocol = server()
      protocol.sendBinary(bytes256)
      assert.strictEqual(toHex(outputOf(protocol)), `82 7e 01 00 ${toHex(bytes256)}`)
    })

    it("server sends 64 KiB behind a length of 64 bits", () => {
      const protocol = server()
      protocol.sendBinary(bytes64Ki)
      assert.strictEqual(toHex(outputOf(protocol)), `82 7f 00 00 00 00 00 01 00 00 ${toHex(bytes64Ki)}`)
    })

    it("server receives what comes behind the sample in the same chunk", () => {
      const protocol = server()
      protocol.receive(hex("81 85 37 fa 21 3d 7f 9f 4d 51 58 81 80 00 00 00 00"))
      assert.deepStrictEqual(eventsOf(protocol), ["Text Hello", "Text "])
    })
  })
}
