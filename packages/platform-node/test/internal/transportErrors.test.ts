import { assert, describe, it } from "@effect/vitest"
import { fromStream } from "../../src/internal/transportErrors.ts"

const operationOf = (facts: { readonly code?: string; readonly syscall?: string; readonly library?: string }) =>
  fromStream(Object.assign(new Error("x"), facts), "host:1").operation

describe("transportErrors", () => {
  it("transport names the operation by what Node says", () => {
    assert.strictEqual(operationOf({ code: "ECONNRESET", syscall: "read" }), "read")
    assert.strictEqual(operationOf({ code: "ECONNRESET" }), "read")
    assert.strictEqual(operationOf({ code: "EPIPE", syscall: "write" }), "write")
    assert.strictEqual(operationOf({ code: "EPIPE" }), "write")
    assert.strictEqual(operationOf({ code: "ECONNRESET", syscall: "writev" }), "write")
    assert.strictEqual(operationOf({ code: "ENOTCONN", syscall: "shutdown" }), "write")
    assert.strictEqual(operationOf({ code: "ERR_STREAM_WRITE_AFTER_END" }), "write")
    assert.strictEqual(operationOf({ code: "ENOTFOUND", syscall: "getaddrinfo" }), "resolve")
    assert.strictEqual(operationOf({ code: "ECONNREFUSED", syscall: "connect" }), "connect")
    assert.strictEqual(operationOf({ code: "ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED", library: "SSL routines" }), "tls")
    assert.strictEqual(operationOf({ code: "EPROTO", syscall: "write" }), "tls")
    assert.strictEqual(operationOf({}), "read")
    assert.strictEqual(fromStream("odd", undefined).operation, "read")
    assert.strictEqual(fromStream(null, undefined).operation, "read")
  })
})
