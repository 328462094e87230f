import * as AcceptKey from "@effect-ws/core/AcceptKey"
import * as fc from "fast-check"
import * as Crypto from "node:crypto"
import { assert, describe, it } from "vitest"
import { bytes, sampleAccept, sampleKey } from "./heads.ts"

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

describe("RFC 6455 1.3: key and accept value", () => {
  it("client encodes the sample nonce", () => {
    assert.strictEqual(AcceptKey.fromNonce(bytes("the sample nonce")), sampleKey)
  })

  it("server derives the sample accept value", () => {
    assert.strictEqual(AcceptKey.derive(sampleKey), sampleAccept)
  })

  it("client is told by a RangeError that a nonce has another length than 16 bytes", () => {
    for (const length of [0, 15, 17]) assert.throws(() => AcceptKey.fromNonce(new Uint8Array(length)), /16 bytes/)
  })

  it("client leaves the nonce as it was", () => {
    const nonce = bytes("the sample nonce")
    AcceptKey.fromNonce(nonce)
    assert.deepStrictEqual(nonce, bytes("the sample nonce"))
  })

  it("both roles agree with another implementation of base64 and SHA-1 for any nonce", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (nonce) => {
        const key = AcceptKey.fromNonce(nonce)
        assert.strictEqual(key, Buffer.from(nonce).toString("base64"))
        assert.isTrue(AcceptKey.isValid(key))
        const hash = Crypto.createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
        assert.strictEqual(AcceptKey.derive(key), hash.digest("base64"))
      })
    )
  })
})

describe("RFC 6455 4.2.1 item 5: form of the key", () => {
  it("server accepts exactly the 4 of 64 last characters that leave no bits over", () => {
    const accepted = Array.from(alphabet).filter((last) => AcceptKey.isValid(`${sampleKey.slice(0, 21)}${last}==`))
    assert.deepStrictEqual(accepted, ["A", "Q", "g", "w"])
  })

  it("server refuses a key that is not 16 bytes", () => {
    for (const length of [0, 1, 12, 15, 17, 18, 32]) {
      assert.isFalse(AcceptKey.isValid(Buffer.alloc(length, 7).toString("base64")), `${length}`)
    }
  })

  it("server refuses 24 characters that are not base64", () => {
    for (const wrong of ["dGhlIHNhbXBsZSBub25jZQ= ", "dGhlIHNhbXBsZSBub25jZ===", "dGhlIHNhbXBsZSBub25jZQQQ"]) {
      assert.isFalse(AcceptKey.isValid(wrong), wrong)
    }
    for (const character of ["-", "_", "=", " ", "\0", "\u00e9", "\u212a"]) {
      for (const at of [0, 10, 20, 21]) {
        const key = sampleKey.slice(0, at) + character + sampleKey.slice(at + 1)
        assert.isFalse(AcceptKey.isValid(key), key)
      }
    }
  })

  it("server refuses whatever does not decode and encode to itself", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 30 }), (text) => {
        const decoded = Buffer.from(text, "base64")
        assert.strictEqual(AcceptKey.isValid(text), decoded.length === 16 && decoded.toString("base64") === text)
      })
    )
  })
})
