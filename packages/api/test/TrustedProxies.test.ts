import type * as Headers from "@effect-ws/core/Headers"
import { emptyInfo, type TlsInfo, type TransportInfo } from "@effect-ws/api/Transport"
import * as TrustedProxies from "@effect-ws/api/TrustedProxies"
import { assert, describe, it } from "@effect/vitest"

const tls: TlsInfo = {
  protocol: "TLSv1.3",
  cipher: undefined,
  serverName: undefined,
  alpnProtocol: undefined,
  authorized: false
}

const tcp = (hostname: string) => ({ _tag: "TcpAddress", hostname, port: 1 }) as const

const from = (hostname: string): TransportInfo => ({ ...emptyInfo, remoteAddress: tcp(hostname) })

const proxy = from("10.0.0.1")
const proxies = TrustedProxies.make(["10.0.0.0/8", "fd00::/8"])
const host = "inside.example"

const ask = (fields: Headers.Headers, info: TransportInfo = proxy, trusted = proxies): TrustedProxies.Client =>
  TrustedProxies.clientOf(trusted, info, { host, fields })

const client = (address: string | undefined, rest: Partial<TrustedProxies.Client> = {}): TrustedProxies.Client => ({
  address,
  host,
  isSecure: false,
  ...rest
})

const forwarded = (...values: ReadonlyArray<string>): Headers.Headers => values.map((value) => ["Forwarded", value])

const xFor = (...values: ReadonlyArray<string>): Headers.Headers => values.map((value) => ["X-Forwarded-For", value])

const xHost = (value: string): Headers.Headers => [["X-Forwarded-Host", value]]

const xProto = (value: string): Headers.Headers => [["X-Forwarded-Proto", value]]

/** What both families can tell alike, as each of them writes it. */
const families = {
  Forwarded: (...addresses: ReadonlyArray<string>) =>
    forwarded(addresses.map((address) => `for="${address.includes(":") ? `[${address}]` : address}"`).join(", ")),
  "X-Forwarded-For": (...addresses: ReadonlyArray<string>) => xFor(addresses.join(", "))
}

describe("the option trustedProxies", () => {
  it.each([
    [""],
    ["localhost"],
    ["10.0.0"],
    ["10"],
    ["0x0a.0.0.1"],
    ["010.0.0.1"],
    ["10.0.0.256"],
    ["10.0.0.1:80"],
    ["10.0.0.0/33"],
    ["10.0.0.0/"],
    ["10/8"],
    ["10.0.0.0/-1"],
    ["10.0.0.0/1e1"],
    ["10.0.0.0/8/8"],
    ["::ffff:10.0.0.0/95"],
    ["::ffff:10.0.0.0/129"],
    [" 10.0.0.1"],
    ["::1::"],
    ["[::1]"],
    ["fe80::1%eth0"],
    ["fe80::%1/10"],
    ["::ffff:010.0.0.1"],
    ["fd00::/129"],
    ["Unix"],
    ["*"]
  ])("server is told by a RangeError that %j is no entry", (entry) => {
    const named = `The option trustedProxies takes addresses, ranges and "unix", and has ${JSON.stringify(entry)}`
    assert.throws(() => TrustedProxies.make(["10.0.0.1", entry]), RangeError, named)
  })

  it.each([
    ["10.0.0.1", ["10.0.0.1", "::ffff:10.0.0.1", "::ffff:a00:1"], ["10.0.0.2", "::10.0.0.0", "fd00::1"]],
    ["::1", ["::1", "0:0:0:0:0:0:0:1"], ["::2", "127.0.0.1", "0.0.0.1"]],
    ["FD00::A", ["fd00::a"], ["fd00::b"]],
    ["::ffff:10.0.0.1", ["10.0.0.1", "::ffff:10.0.0.1"], ["10.0.0.2"]],
    ["10.0.0.0/8", ["10.0.0.0", "10.255.255.255", "::ffff:10.1.1.1"], ["9.255.255.255", "11.0.0.0", "fd00::1"]],
    ["10.9.9.9/8", ["10.0.0.0"], ["11.0.0.0"]],
    ["192.168.1.128/25", ["192.168.1.128", "192.168.1.255"], ["192.168.1.127"]],
    ["10.0.0.1/32", ["10.0.0.1"], ["10.0.0.0"]],
    ["0.0.0.0/0", ["255.1.1.1", "::ffff:1.1.1.1"], ["::1"]],
    ["::/0", ["::1", "fe80::1"], ["10.0.0.1", "::ffff:10.0.0.1"]],
    ["fd00::/8", ["fd00::1", "fdff::"], ["fe00::1"]],
    ["fe80::/10", ["fe80::1", "fe80::1%eth0", "fe80::1%br-1.5"], ["fec0::1"]],
    ["::ffff:10.0.0.0/104", ["10.1.1.1", "::ffff:10.1.1.1"], ["11.0.0.0"]],
    ["::ffff:0:0/96", ["1.2.3.4"], ["::1"]]
  ])("server trusts the peers of the entry %s and no others", (entry, trusted, others) => {
    const proxies = TrustedProxies.make(["203.0.113.1", entry])
    const told = xFor("198.51.100.7")
    for (const peer of trusted) assert.strictEqual(ask(told, from(peer), proxies).address, "198.51.100.7", peer)
    for (const peer of others) assert.notStrictEqual(ask(told, from(peer), proxies).address, "198.51.100.7", peer)
  })

  it("server trusts peers over a unix socket for the entry unix, and for no other", () => {
    const unix = TrustedProxies.make(["unix"])
    const named: TransportInfo = { ...emptyInfo, remoteAddress: { _tag: "UnixAddress", path: "/run/proxy" } }
    for (const info of [emptyInfo, named]) {
      assert.deepStrictEqual(ask(xFor("198.51.100.7"), info, unix), client("198.51.100.7"))
      assert.deepStrictEqual(ask(xFor("198.51.100.7"), info, proxies), client(undefined))
    }
    assert.deepStrictEqual(ask(xFor("198.51.100.7"), proxy, unix), client("10.0.0.1"))
  })

  it("server takes no peer of a TCP socket for one over a unix socket when its address is lost", () => {
    const lost: TransportInfo = { ...emptyInfo, localAddress: tcp("10.0.0.9") }
    assert.deepStrictEqual(ask(xFor("198.51.100.7"), lost, TrustedProxies.make(["unix"])), client(undefined))
  })

  it("server trusts no hop for the entry unix", () => {
    const unix = TrustedProxies.make(["unix"])
    assert.deepStrictEqual(ask(xFor("198.51.100.7, unix"), emptyInfo, unix), client(undefined))
    assert.deepStrictEqual(ask(xFor("198.51.100.7, unknown"), emptyInfo, unix), client(undefined))
  })

  it("server trusts nobody when there is no entry", () => {
    const nobody = TrustedProxies.make([])
    for (const info of [emptyInfo, proxy]) {
      assert.strictEqual(ask(xFor("198.51.100.7"), info, nobody).address, info === proxy ? "10.0.0.1" : undefined)
    }
  })
})

describe("who asks a server without a trusted peer", () => {
  const lies = [...forwarded("for=1.1.1.1;host=evil;proto=https"), ...xHost("evil"), ...xProto("https")]

  it("server takes the peer of the transport, the Host and TLS as they are", () => {
    for (const fields of [[], lies, [...lies, ...xFor("1.1.1.1")], xFor("10.0.0.1")]) {
      assert.deepStrictEqual(ask(fields, from("198.51.100.7")), client("198.51.100.7"))
      assert.deepStrictEqual(ask(fields, emptyInfo), client(undefined))
      const secure = { ...from("198.51.100.7"), tls }
      assert.deepStrictEqual(ask(fields, secure), client("198.51.100.7", { isSecure: true }))
    }
  })

  it("server shows an IPv4 address that is mapped to IPv6 in its IPv4 form, and others as the transport does", () => {
    assert.deepStrictEqual(ask([], from("::ffff:198.51.100.7")), client("198.51.100.7"))
    assert.deepStrictEqual(ask([], from("fe80::1%eth0")), client("fe80::1%eth0"))
    assert.deepStrictEqual(ask([], from("client.test")), client("client.test"))
  })
})

describe.each(Object.entries(families))("who asks a server behind trusted proxies that write %s", (name, hops) => {
  it("server takes the address that the proxy names", () => {
    assert.deepStrictEqual(ask(hops("198.51.100.7")), client("198.51.100.7"))
    assert.deepStrictEqual(ask(hops("2001:db8::7"), from("fd00::1")), client("2001:db8::7"))
  })

  it("server takes the first untrusted address from the right, behind a chain of two trusted proxies", () => {
    assert.deepStrictEqual(ask(hops("198.51.100.7", "10.0.0.2")), client("198.51.100.7"))
    assert.deepStrictEqual(ask(hops("2001:db8::7", "fd00::2", "10.0.0.2")), client("2001:db8::7"))
    assert.deepStrictEqual(ask(hops("198.51.100.7", "::ffff:10.0.0.2")), client("198.51.100.7"))
  })

  it("server doesn't believe what a client put in front", () => {
    for (const lie of ["1.1.1.1", "10.0.0.5", "127.0.0.1", "unknown", "_hidden"]) {
      assert.deepStrictEqual(ask(hops(lie, "198.51.100.7")), client("198.51.100.7"))
      assert.deepStrictEqual(ask(hops(lie, lie, "198.51.100.7", "10.0.0.2")), client("198.51.100.7"))
      assert.deepStrictEqual(ask([...hops(lie), ...hops("198.51.100.7")]), client("198.51.100.7"))
    }
  })

  it("server takes the leftmost address when all are trusted", () => {
    assert.deepStrictEqual(ask(hops("10.0.0.4", "10.0.0.3", "10.0.0.2")), client("10.0.0.4"))
  })

  it("server knows no address behind a hop that hides it, and looks no further", () => {
    for (const hidden of ["unknown", "_hidden", "nonsense", "1.1.1.256", "01.1.1.1", "1.1.1", "::1%eth0"]) {
      assert.deepStrictEqual(ask(hops("198.51.100.7", hidden)), client(undefined))
      assert.deepStrictEqual(ask(hops("198.51.100.7", hidden, "10.0.0.2")), client(undefined))
      assert.deepStrictEqual(ask(hops(hidden)), client(undefined))
    }
  })

  it("server spells an address in one way", () => {
    for (const address of ["2001:DB8::7", "2001:db8:0:0:0:0:0:7", "2001:0db8::0007"]) {
      assert.deepStrictEqual(ask(hops(address)), client("2001:db8::7"))
    }
    assert.deepStrictEqual(ask(hops("::ffff:198.51.100.7")), client("198.51.100.7"))
    assert.deepStrictEqual(ask(hops("::ffff:c633:6407")), client("198.51.100.7"))
  })

  it("server falls back to the peer when nothing is told", () => {
    for (const fields of [[], [[name, ""]], [[name, " , "]]] as ReadonlyArray<Headers.Headers>) {
      assert.deepStrictEqual(ask(fields), client("10.0.0.1"))
      assert.deepStrictEqual(ask(fields, { ...proxy, tls }), client("10.0.0.1", { isSecure: true }))
    }
  })

  it("server reads hostile fields in linear time", () => {
    for (const unit of ["10.0.0.2, ", "fd00::2, ", ",", ":", "[", "::, ", "1.", "a", "10.0.0.2,,", '"', "\\"]) {
      const text = unit.repeat(100_000 / unit.length)
      for (const fields of [hops(text), xFor(text), forwarded(text), [...xHost(text), ...xFor("10.0.0.2")]]) {
        assert.include([undefined, "10.0.0.1", "10.0.0.2", "fd00::2", "::"], ask(fields).address)
      }
    }
  })
})

describe("RFC 7239: what Forwarded tells besides", () => {
  it("server takes host and proto of the element that names the client", () => {
    const fields = forwarded(
      "for=1.1.1.1;host=evil;proto=http, for=198.51.100.7;host=a.example;proto=https, for=10.0.0.2;host=b"
    )
    assert.deepStrictEqual(ask(fields), client("198.51.100.7", { host: "a.example", isSecure: true }))
    const missing = forwarded("for=1.1.1.1;host=evil;proto=https, for=198.51.100.7, for=10.0.0.2;host=b;proto=https")
    assert.deepStrictEqual(ask(missing), client("198.51.100.7"))
  })

  it("server takes host and proto of the element whose address is hidden", () => {
    const fields = forwarded("for=1.1.1.1;host=evil, for=unknown;host=a.example;proto=https")
    assert.deepStrictEqual(ask(fields), client(undefined, { host: "a.example", isSecure: true }))
    assert.deepStrictEqual(ask(forwarded("proto=https")), client(undefined, { isSecure: true }))
  })

  it("server reads ports, brackets and quotes", () => {
    assert.deepStrictEqual(ask(forwarded('for="198.51.100.7:4711"')), client("198.51.100.7"))
    assert.deepStrictEqual(ask(forwarded('For="[2001:db8::7]:4711"')), client("2001:db8::7"))
    assert.deepStrictEqual(ask(forwarded('for="[2001:db8::7]:_x", for="[fd00::2]:80"')), client("2001:db8::7"))
    assert.deepStrictEqual(ask(forwarded('for="2001:db8::7"')), client(undefined))
  })

  it.each([["for"], ["for="], ["for=a;for=b"], ['for="198.51.100.7'], ["for=198.51.100.7; proto=https"]])(
    "server knows nobody behind the malformed %j, and takes nothing for secure",
    (value) => {
      for (const lines of [[value], ["for=1.1.1.1", value], [value, "for=10.0.0.2"]]) {
        assert.deepStrictEqual(ask(forwarded(...lines)), client(undefined))
        assert.deepStrictEqual(ask(forwarded(...lines), { ...proxy, tls }), client(undefined))
      }
    }
  )

  it("server takes what its proxy writes on a line of its own behind a malformed one", () => {
    for (const lie of ["for=", 'for="x', 'for="x, for="', "for=a;for=b"]) {
      const told = client("198.51.100.7", { isSecure: true })
      assert.deepStrictEqual(ask(forwarded(lie, "for=198.51.100.7;proto=https")), told)
      assert.deepStrictEqual(ask(forwarded(lie, "for=198.51.100.7;proto=https, for=10.0.0.2")), told)
      assert.deepStrictEqual(ask(forwarded(lie, "for=198.51.100.7;proto=https", "for=10.0.0.2")), told)
    }
  })

  it("server takes what its proxy writes behind a malformed element of the same line", () => {
    for (const lie of ["for", "for=", "for=a b", "for=a;for=b"]) {
      assert.deepStrictEqual(ask(forwarded(`${lie}, for=198.51.100.7, for=10.0.0.2`)), client("198.51.100.7"))
      assert.deepStrictEqual(ask(forwarded(`for=1.1.1.1, ${lie}, for=10.0.0.2`)), client(undefined))
    }
  })

  it("server knows nobody where a quoted string of the client may have swallowed what its proxy wrote", () => {
    for (const line of ['for="x, for=198.51.100.7', 'for="x, for="[2001:db8::7]"', 'for=, for="[2001:db8::7]"']) {
      assert.deepStrictEqual(ask(forwarded(line)), client(undefined))
      assert.deepStrictEqual(ask(forwarded("for=1.1.1.1", line)), client(undefined))
    }
    assert.deepStrictEqual(ask(forwarded('for="x, for=1.1.1.1", for=198.51.100.7')), client("198.51.100.7"))
  })
})

describe("what X-Forwarded-For tells", () => {
  it("server reads ports, brackets and plain IPv6 addresses", () => {
    assert.deepStrictEqual(ask(xFor("198.51.100.7:4711")), client("198.51.100.7"))
    assert.deepStrictEqual(ask(xFor("[2001:db8::7]:4711, [fd00::2]")), client("2001:db8::7"))
    assert.deepStrictEqual(ask(xFor("2001:db8::7,fd00::2")), client("2001:db8::7"))
  })

  it("server knows no address behind a malformed one", () => {
    for (const text of [
      "198.51.100.7:",
      "198.51.100.7:port",
      "[2001:db8::7",
      "2001:db8::7]",
      '"198.51.100.7"',
      "a b"
    ]) {
      assert.deepStrictEqual(ask(xFor(`1.1.1.1, ${text}, 10.0.0.2`)), client(undefined))
    }
  })

  it("server combines lines and skips empty elements", () => {
    assert.deepStrictEqual(ask(xFor("1.1.1.1", ", 198.51.100.7 ,\t", "", "10.0.0.2")), client("198.51.100.7"))
  })
})

describe("what X-Forwarded-Host and X-Forwarded-Proto tell", () => {
  const told = (hosts: string, ...hops: ReadonlyArray<string>) =>
    ask([...families["X-Forwarded-For"](...hops), ...xHost(hosts)])

  it("server takes a single value", () => {
    for (const hops of [["198.51.100.7"], ["1.1.1.1", "198.51.100.7", "10.0.0.2"], []]) {
      assert.strictEqual(told("a.example:8443", ...hops).host, "a.example:8443")
    }
  })

  it("server takes the value beside the client's address from a list as long as X-Forwarded-For", () => {
    assert.strictEqual(told("evil, a.example, b", "1.1.1.1", "198.51.100.7", "10.0.0.2").host, "a.example")
    assert.strictEqual(told("a.example, b", "198.51.100.7", "10.0.0.2").host, "a.example")
    assert.strictEqual(told("a, b", "10.0.0.3", "10.0.0.2").host, "a")
    assert.strictEqual(told("evil, a.example, b", "1.1.1.1", "unknown", "10.0.0.2").host, "a.example")
  })

  it("server takes the rightmost value of any other list", () => {
    assert.strictEqual(told("evil, a.example", "198.51.100.7").host, "a.example")
    assert.strictEqual(told("evil, a.example", "1.1.1.1", "198.51.100.7", "10.0.0.2").host, "a.example")
    assert.strictEqual(told("evil, a.example").host, "a.example")
  })

  it("server takes https and wss for secure, http and ws for not, and nothing else for anything", () => {
    const secure: TransportInfo = { ...proxy, tls }
    const isSecure = (value: string, info: TransportInfo): boolean =>
      ask([...xFor("198.51.100.7"), ...xProto(value)], info).isSecure
    for (const value of ["https", "HTTPS", "wss"]) assert.isTrue(isSecure(value, proxy), value)
    for (const value of ["http", "Http", "ws"]) assert.isFalse(isSecure(value, secure), value)
    for (const value of ["", "on", "https:", "httpss", "spdy", "\u017f"]) {
      assert.isFalse(isSecure(value, proxy), value)
      assert.isTrue(isSecure(value, secure), value)
    }
  })

  it("server takes the scheme beside the client's address, and else the rightmost", () => {
    const isSecure = (protos: string, hops: string): boolean => ask([...xFor(hops), ...xProto(protos)]).isSecure
    assert.isTrue(isSecure("https, http", "198.51.100.7, 10.0.0.2"))
    assert.isFalse(isSecure("https, http", "1.1.1.1, 198.51.100.7"))
    assert.isFalse(isSecure("https, http", "198.51.100.7"))
  })

  it("server takes them without X-Forwarded-For too, and the proxy itself for the client then", () => {
    const fields = [...xHost("a.example"), ...xProto("https")]
    assert.deepStrictEqual(ask(fields), client("10.0.0.1", { host: "a.example", isSecure: true }))
  })

  it.each([
    ["a.example"],
    ["a.example:443"],
    ["A-b_c.example:0"],
    ["192.0.2.1:80"],
    ["[2001:db8::7]"],
    ["[2001:db8::7]:65535"],
    ["%C3%A9.example"]
  ])("server takes %s for a host in either family", (value) => {
    assert.strictEqual(told(value, "198.51.100.7").host, value)
    assert.strictEqual(ask(forwarded(`for=198.51.100.7;host="${value}"`)).host, value)
  })

  it.each([
    [""],
    ["a b"],
    ["a/b"],
    ["user@a"],
    ["a:b"],
    ["a:80:80"],
    ["a:65536"],
    ["a:000080"],
    [":80"],
    ["[::1"],
    ["[]"],
    ["[a]"],
    ["[192.0.2.1]"],
    ["::1"],
    ["a%"],
    ["a%zz"],
    ["a\u00e9"],
    ["https://a"],
    ["a?"],
    ["a#"]
  ])("server takes the host %j as absent in either family", (value) => {
    assert.strictEqual(told(value, "198.51.100.7").host, host)
    assert.strictEqual(ask(forwarded(`for=198.51.100.7;host="${value}"`)).host, host)
  })
})

describe("who asks a server when both families are there", () => {
  it("server takes what both tell alike", () => {
    const fields = [
      ...forwarded('for="[2001:DB8::7]:1";host=A.example;proto=https'),
      ...[...xFor("1.1.1.1, 2001:db8:0::7, 10.0.0.2"), ...xHost("a.example"), ...xProto("wss")]
    ]
    assert.deepStrictEqual(ask(fields), client("2001:db8::7", { host: "A.example", isSecure: true }))
  })

  it("server knows nobody when they disagree on the address", () => {
    const told = [...xFor("198.51.100.7"), ...xHost("a.example"), ...xProto("https")]
    for (const lie of [
      "for=1.1.1.1",
      "for=unknown",
      "for=10.0.0.5",
      "host=evil",
      "for=1.1.1.1;host=evil;proto=https"
    ]) {
      assert.deepStrictEqual(ask([...forwarded(lie), ...told]), client(undefined))
    }
    const lies = [...xFor("1.1.1.1"), ...xHost("evil"), ...xProto("https")]
    assert.deepStrictEqual(ask([...forwarded("for=198.51.100.7"), ...lies]), client(undefined))
    assert.deepStrictEqual(ask([...forwarded("for=198.51.100.7"), ...xHost("evil")]), client(undefined))
    assert.deepStrictEqual(ask([...forwarded("for=198.51.100.7"), ...xProto("https")]), client(undefined))
  })

  it("server knows nobody when they disagree on the host or the scheme", () => {
    const told = [...xFor("198.51.100.7"), ...xHost("a.example"), ...xProto("https")]
    for (const lie of ["host=evil", "proto=http", "host=a.example;proto=http", "host=evil;proto=https"]) {
      assert.deepStrictEqual(ask([...forwarded(`for=198.51.100.7;${lie}`), ...told]), client(undefined))
    }
  })

  it("server takes no host and no scheme from a client that names itself in the family its proxy doesn't write", () => {
    const lies = forwarded("for=198.51.100.7;host=evil;proto=https")
    assert.deepStrictEqual(ask([...lies, ...xFor("198.51.100.7")]), client("198.51.100.7"))
    const others = [...xFor("198.51.100.7"), ...xHost("evil"), ...xProto("https")]
    assert.deepStrictEqual(ask([...others, ...forwarded("for=198.51.100.7")]), client("198.51.100.7"))
    const downgrades = [
      [...xFor("198.51.100.7"), ...xProto("http"), ...forwarded("for=198.51.100.7")],
      [...xFor("198.51.100.7"), ...forwarded("for=198.51.100.7;proto=http")]
    ]
    for (const fields of downgrades) assert.isTrue(ask(fields, { ...proxy, tls }).isSecure)
  })

  it("server takes nothing for secure when they disagree, TLS of the proxy itself included", () => {
    for (const lie of ["for=1.1.1.1", "for=198.51.100.7;host=evil", "for="]) {
      const fields = [...forwarded(lie), ...xFor("198.51.100.7"), ...xHost("a.example"), ...xProto("https")]
      assert.deepStrictEqual(ask(fields, { ...proxy, tls }), client(undefined))
    }
  })

  it("server lets no client switch a family off by a malformed field of the other", () => {
    const lies = [...xFor("1.1.1.1"), ...xHost("evil"), ...xProto("https")]
    assert.deepStrictEqual(ask([...forwarded('for="', "for=198.51.100.7"), ...lies]), client(undefined))
    for (const lie of ["for=", 'for="']) {
      assert.deepStrictEqual(ask([...forwarded(lie), ...xFor("198.51.100.7")]), client(undefined))
      assert.deepStrictEqual(ask([...forwarded(lie), ...xFor("unknown")], { ...proxy, tls }), client(undefined))
      assert.deepStrictEqual(ask([...forwarded(lie), ...xProto("https")]), client(undefined))
    }
  })

  it("server doesn't mind a family without a value", () => {
    const empty = [...xFor(""), ...xHost(","), ...xProto(" ")]
    assert.deepStrictEqual(ask([...empty, ...forwarded("for=198.51.100.7")]), client("198.51.100.7"))
    assert.deepStrictEqual(ask([...forwarded("", ","), ...xFor("198.51.100.7")]), client("198.51.100.7"))
  })
})
