import * as Origin from "@effect-ws/core/Origin"
import { assert, describe, it } from "vitest"

describe("RFC 6455 10.2: Origin considerations", () => {
  const same: ReadonlyArray<readonly [origin: string, host: string]> = [
    ["http://example.com", "example.com"],
    ["https://example.com", "example.com"],
    ["https://EXAMPLE.com", "example.COM"],
    ["http://example.com:80", "example.com"],
    ["http://example.com", "example.com:80"],
    ["https://example.com", "example.com:443"],
    ["http://example.com:8080", "example.com:8080"],
    ["http://127.0.0.1:8080", "127.0.0.1:8080"],
    ["http://[::1]:8080", "[::1]:8080"],
    ["http://[::1]", "[::1]"],
    ["http://example.com", "example.com:"]
  ]
  for (const [origin, host] of same) {
    it(`server takes ${origin} for the host ${host}`, () => {
      assert.isTrue(Origin.isSame(origin, host))
    })
  }

  const foreign: ReadonlyArray<readonly [origin: string, host: string]> = [
    ["null", "null"],
    ["", ""],
    ["http://", ""],
    ["http://evil.example", "example.com"],
    ["http://example.com.evil.example", "example.com"],
    ["http://sub.example.com", "example.com"],
    ["http://example.com:8080", "example.com"],
    ["http://example.com", "example.com:8080"],
    ["https://example.com", "example.com:80"],
    ["http://example.com@evil.example", "evil.example"],
    ["http://example.com/", "example.com"],
    ["http://example.com/path", "example.com"],
    ["http://example.com example.com", "example.com example.com"],
    ["file://example.com", "example.com"],
    ["constructor://example.com", "example.com"],
    ["__proto__://example.com", "example.com"],
    ["http://[::1]:8080", "[::2]:8080"],
    ["http://example.com:x", "example.com:x"]
  ]
  for (const [origin, host] of foreign) {
    it(`server refuses ${JSON.stringify(origin)} for the host ${JSON.stringify(host)}`, () => {
      assert.isFalse(Origin.isSame(origin, host))
    })
  }
})
