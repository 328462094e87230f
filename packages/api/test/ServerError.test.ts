import { ServerError, type ServerErrorReason } from "@effect-ws/api/ServerError"
import { assert, describe, it } from "@effect/vitest"

const message = (tag: ServerErrorReason["_tag"], address: string, cause: unknown = new Error("no start line")) =>
  new ServerError({ reason: { _tag: tag, cause }, address }).message

describe("ServerError", () => {
  it("server error says in one line where and why", () => {
    assert.strictEqual(message("AddressInUse", "127.0.0.1:8080"), "Port 8080 of 127.0.0.1 is already in use")
    assert.strictEqual(message("AddressInUse", "[::1]:8080"), "Port 8080 of [::1] is already in use")
    assert.strictEqual(message("AddressInUse", "/tmp/a:80"), "The path /tmp/a:80 is already in use")
    assert.strictEqual(message("AddressInUse", "\\\\.\\pipe\\a"), "The path \\\\.\\pipe\\a is already in use")
    assert.strictEqual(
      message("AccessDenied", "0.0.0.0:80"),
      "Port 80 of 0.0.0.0 may not be listened on: access denied"
    )
    assert.include(message("AddressNotAvailable", "192.0.2.1:80"), "not an address of this machine")
    assert.strictEqual(message("BadTlsMaterial", "a:443"), "Port 443 of a can't be served over TLS: no start line")
    assert.strictEqual(message("Other", "a:1", "EMFILE"), "Port 1 of a can't be listened on: EMFILE")
  })
})
