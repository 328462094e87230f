import { formatAddress, TransportError, type TransportOperation } from "@effect-ws/api/TransportError"
import { assert, describe, it } from "@effect/vitest"

const messageOf = (operation: TransportOperation, address: string | undefined, cause: unknown) =>
  new TransportError({ operation, address, cause }).message

describe("TransportError", () => {
  it("error says what was done, where, and what the platform said", () => {
    const cause = new Error("ECONNREFUSED")
    assert.strictEqual(messageOf("connect", "a:80", cause), "The transport failed to connect to a:80: ECONNREFUSED")
    assert.strictEqual(messageOf("resolve", "a", "ENOTFOUND"), "The transport failed to resolve a: ENOTFOUND")
    assert.strictEqual(
      messageOf("proxy", "a:3128", cause),
      "The transport failed to get through the proxy a:3128: ECONNREFUSED"
    )
    assert.strictEqual(
      messageOf("tls", "a:443", cause),
      "The transport failed to agree on TLS with a:443: ECONNREFUSED"
    )
    assert.strictEqual(messageOf("read", undefined, cause), "The transport failed to read from: ECONNREFUSED")
    assert.strictEqual(messageOf("write", "/run/a", cause), "The transport failed to write to /run/a: ECONNREFUSED")
  })

  it("error names what every address said when all of them failed", () => {
    const all = new AggregateError([new Error("refused by ::1"), new Error("refused by 127.0.0.1")])
    assert.include(messageOf("connect", "localhost:80", all), "refused by ::1, refused by 127.0.0.1")
    assert.include(messageOf("connect", "localhost:80", new AggregateError([], "none")), ": none")
  })

  it("address is written as a person would", () => {
    assert.strictEqual(formatAddress({ _tag: "TcpAddress", hostname: "127.0.0.1", port: 80 }), "127.0.0.1:80")
    assert.strictEqual(formatAddress({ _tag: "TcpAddress", hostname: "::1", port: 80 }), "[::1]:80")
    assert.strictEqual(formatAddress({ _tag: "UnixAddress", path: "/run/a:b" }), "/run/a:b")
  })
})
