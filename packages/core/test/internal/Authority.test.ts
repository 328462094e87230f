import * as fc from "fast-check"
import { assert, describe, it } from "vitest"
import { isHost } from "../../src/internal/Authority.ts"

describe("RFC 9112 3.2: host and port", () => {
  it("both roles take names and addresses with an optional port", () => {
    const names = ["a", "server.example.com", "127.0.0.1", "a_b", "a%20b", "xn--bcher-kva.example", "A-Z.example."]
    for (const host of [...names, "[::1]", "[1:2:3:4:5:6:7:8]", "[::ffff:127.0.0.1]", "[v1.a:b]", "[fe80::1%25eth0]"]) {
      for (const port of ["", ":", ":0", ":80", ":0000080", ":65535"]) assert.isTrue(isHost(host + port), host + port)
    }
  })

  it("both roles refuse everything else", () => {
    const hosts = [
      "",
      ":80",
      "a b",
      "a/b",
      "a?b",
      "a#b",
      "u@a",
      "u:p@a",
      "a\r\nb",
      "a\0",
      "\u00e9",
      'a,b"',
      "a\\b",
      "<a>"
    ]
    const ports = ["a:b", "a:80:80", "a:65536", "a:-1", "a: 80", "a:8 0"]
    const others = [
      "[",
      "[]",
      "[::1",
      "::1",
      "[::1]a",
      "[::1]:x",
      "[/]",
      "a%",
      "a%2",
      "a%2g",
      "a%gg",
      "[::1%]",
      "[::1%25]",
      "[zz]",
      "[:::::]",
      "[1:2]",
      "[1:2:3:4:5:6:7:8:9]",
      "[%41]",
      "[$&'()]",
      "[v.a]",
      "[v1.]",
      "a\u0141"
    ]
    for (const host of [...hosts, ...ports, ...others]) assert.isFalse(isHost(host), host)
  })

  it("both roles answer in linear time for any text", () => {
    for (const unit of ["a", "%41", "[", ":", "1", "]", "%25"]) {
      for (const begin of ["", "[", "[::1%25"]) {
        for (const end of ["", "]", "!]"]) isHost(begin + unit.repeat(1_000_000) + end)
      }
    }
    fc.assert(fc.property(fc.string(), (text) => void isHost(text)))
  })
})
