/**
 * What a WebSocket class of the WHATWG does, as scenarios that run here and in a page of a browser alike: each is a function
 * that knows nothing but its parameters. Expected is what the specification says; who departs from it is listed with that.
 */
import { messageScenarios } from "./webSocketClassMessages.ts"

type WebSocketClass = any

export interface Scenario {
  readonly title: string
  readonly run: (WebSocket: WebSocketClass, url: string, tools: ReturnType<typeof makeTools>) => Promise<unknown>
  readonly expected: unknown
  /** What is otherwise, and where. */
  readonly otherwise?: Readonly<Partial<Record<"undici" | "Chromium", unknown>>>
  /** Where it can't be told what comes of it. */
  readonly notFor?: "undici"
}

/** What the scenarios share; runs in the page too. */
export const makeTools = () => {
  /** Waits for one event. */
  const once = (socket: WebSocketClass, type: string): Promise<any> =>
    new Promise((resolve) => socket.addEventListener(type, resolve, { once: true }))
  /** Waits for that many messages from here on, however close they follow each other. */
  const messages = (socket: WebSocketClass, count: number): Promise<Array<any>> =>
    new Promise((resolve) => {
      const received: Array<unknown> = []
      socket.addEventListener("message", ({ data }: any) => received.push(data) === count && resolve(received))
    })
  /** Keeps what a socket tells, with its state at that time. */
  const watch = (socket: WebSocketClass): Array<string> => {
    const log: Array<string> = []
    socket.addEventListener("open", () => log.push(`open ${socket.readyState}`))
    socket.addEventListener("message", ({ data }: any) =>
      log.push(`message ${socket.readyState} ${typeof data === "string" ? data : Object.prototype.toString.call(data)}`)
    )
    socket.addEventListener("error", () => log.push(`error ${socket.readyState}`))
    socket.addEventListener("close", ({ code, reason, wasClean }: any) =>
      log.push(`close ${socket.readyState} ${code} ${wasClean} ${reason}`.trim())
    )
    return log
  }
  /** The name of the error, or the value. */
  const outcome = (use: () => unknown): unknown => {
    try {
      return use()
    } catch (error) {
      return (error as Error).name
    }
  }
  return { once, messages, watch, outcome }
}

export const scenarios: ReadonlyArray<Scenario> = [
  {
    title: "opens, receives and closes in the order of the wire",
    run: async (WebSocket, url, { messages, once, watch }) => {
      const socket = new WebSocket(`${url}/echo`)
      const log = watch(socket)
      log.push(`made ${socket.readyState}`)
      await once(socket, "open")
      socket.send("héllo")
      socket.send(new Uint8Array([1, 2]))
      await messages(socket, 2)
      socket.close()
      log.push(`closing ${socket.readyState}`)
      await once(socket, "close")
      return log
    },
    expected: ["made 0", "open 1", "message 1 héllo", "message 1 [object Blob]", "closing 2", "close 3 1005 true"]
  },
  {
    title: "has the attributes of the specification before and after it is open",
    run: async (WebSocket, url, { once }) => {
      const socket = new WebSocket(`${url}/echo`)
      const attributes = () => {
        const { binaryType, bufferedAmount, extensions, onclose, onerror, onmessage, onopen, protocol, url } = socket
        return { binaryType, bufferedAmount, extensions, onclose, onerror, onmessage, onopen, protocol, url }
      }
      const before = attributes()
      await once(socket, "open")
      const after = attributes()
      socket.close()
      await once(socket, "close")
      const isUrl = before.url === `${url}/echo`
      return { ...before, url: isUrl, isSame: JSON.stringify(before) === JSON.stringify(after) }
    },
    expected: {
      binaryType: "blob",
      bufferedAmount: 0,
      extensions: "",
      onclose: null,
      onerror: null,
      onmessage: null,
      onopen: null,
      protocol: "",
      url: true,
      isSame: true
    }
  },
  {
    title: "is shaped as Web IDL says",
    run: async (WebSocket) => {
      const members = ["url", "readyState", "bufferedAmount", "extensions", "protocol", "binaryType", "send", "close"]
      const handlers = ["onopen", "onmessage", "onerror", "onclose"]
      const { prototype } = WebSocket
      const descriptorOf = (target: object, key: PropertyKey) => {
        const { configurable, enumerable, value, writable } = Object.getOwnPropertyDescriptor(target, key)!
        return [value, writable, enumerable, configurable]
      }
      return {
        constants: ["CONNECTING", "OPEN", "CLOSING", "CLOSED"].map((name) => descriptorOf(WebSocket, name)),
        isOnPrototype: ["CONNECTING", "OPEN", "CLOSING", "CLOSED"].map((name) => descriptorOf(prototype, name)),
        areOwn: [...members, ...handlers].every((name) => descriptorOf(prototype, name)[2] === true),
        tag: descriptorOf(prototype, Symbol.toStringTag),
        lengths: [WebSocket.length, prototype.send.length, prototype.close.length],
        name: WebSocket.name,
        isTarget: prototype instanceof EventTarget
      }
    },
    expected: {
      constants: [0, 1, 2, 3].map((value) => [value, false, true, false]),
      isOnPrototype: [0, 1, 2, 3].map((value) => [value, false, true, false]),
      areOwn: true,
      tag: ["WebSocket", false, false, true],
      lengths: [1, 1, 0],
      name: "WebSocket",
      isTarget: true
    }
  },
  {
    title: "refuses what is no URL or no list of subprotocols, and understands the rest",
    run: async (WebSocket, url, { once, outcome }) => {
      const port = new URL(url.replace("ws", "http")).port
      const make = async (...args: Array<unknown>) => {
        const made: any = outcome(() => new WebSocket(...args))
        if (typeof made === "string") return made
        // undici tells while it is called.
        const closed = once(made, "close")
        made.close()
        await closed
        return made.url.replace(port, "P")
      }
      return {
        nothing: await make(),
        fragment: await make(`${url}/#a`),
        emptyFragment: await make(`${url}/#`),
        http: await make(`${url.replace("ws", "http")}/echo`),
        ftp: await make("ftp://a/"),
        noHost: await make("ws://"),
        badPort: await make("ws://a:99999"),
        object: await make(new URL(url)),
        symbol: await make(Symbol("a")),
        normalised: await make(`${url.replace("ws", "WS")}/A b/../é`),
        credentials: await make(url.replace("//", "//u:p@")),
        duplicate: await make(url, ["a", "a"]),
        space: await make(url, "a b"),
        comma: await make(url, "a,b"),
        beyondAscii: await make(url, "é"),
        emptyString: await make(url, ""),
        emptyList: await make(url, []),
        null: await make(url, null),
        number: await make(url, 1),
        set: await make(url, new Set(["a", "b"])),
        called: outcome(() => WebSocket(url))
      }
    },
    expected: {
      nothing: "TypeError",
      fragment: "SyntaxError",
      emptyFragment: "SyntaxError",
      http: "ws://127.0.0.1:P/echo",
      ftp: "SyntaxError",
      noHost: "SyntaxError",
      badPort: "SyntaxError",
      object: "ws://127.0.0.1:P/",
      symbol: "TypeError",
      normalised: "ws://127.0.0.1:P/%C3%A9",
      credentials: "ws://u:p@127.0.0.1:P/",
      duplicate: "SyntaxError",
      space: "SyntaxError",
      comma: "SyntaxError",
      beyondAscii: "SyntaxError",
      emptyString: "SyntaxError",
      emptyList: "ws://127.0.0.1:P/",
      null: "ws://127.0.0.1:P/",
      number: "ws://127.0.0.1:P/",
      set: "ws://127.0.0.1:P/",
      called: "TypeError"
    }
  },
  {
    title: "tells subprotocols apart by their case",
    run: async (WebSocket, url, { once, outcome }) => {
      const made: any = outcome(() => new WebSocket(`${url}/first`, ["Chat", "chat"]))
      if (typeof made === "string") return made
      await once(made, "open")
      const { protocol } = made
      made.close()
      await once(made, "close")
      return protocol
    },
    expected: "Chat",
    // Takes the two for one.
    otherwise: { undici: "SyntaxError" }
  },
  {
    title: "takes an object for a subprotocol, and no dictionary",
    run: async (WebSocket, url, { once, outcome }) => {
      const made: any = outcome(() => new WebSocket(url, { protocols: ["a"] }))
      if (typeof made === "string") return made
      const closed = once(made, "close")
      made.close()
      await closed
      return "made"
    },
    expected: "SyntaxError",
    // Has options of its own there.
    otherwise: { undici: "made" }
  },
  {
    title: "has the subprotocol that the server chose",
    run: async (WebSocket, url, { once }) => {
      const socket = new WebSocket(`${url}/first`, ["chat.v2", "chat.v1"])
      await once(socket, "open")
      const { protocol } = socket
      socket.close()
      await once(socket, "close")
      return protocol
    },
    expected: "chat.v2"
  },
  {
    title: "fails when the server chooses none of the subprotocols",
    run: async (WebSocket, url, { once, watch }) => {
      const socket = new WebSocket(`${url}/echo`, ["chat"])
      const log = watch(socket)
      await once(socket, "close")
      return log
    },
    expected: ["error 3", "close 3 1006 false"]
  },
  {
    title: "fails when the server declines",
    run: async (WebSocket, url, { once, watch }) => {
      const socket = new WebSocket(`${url}/declined`)
      const log = watch(socket)
      await once(socket, "close")
      return [...log, socket.bufferedAmount]
    },
    expected: ["error 3", "close 3 1006 false", 0]
  },
  {
    title: "fails in a later turn when it is closed while it connects",
    run: async (WebSocket, url, { once, outcome, watch }) => {
      const socket = new WebSocket(`${url}/never`)
      const log = watch(socket)
      log.push(`send ${outcome(() => socket.send("early"))}`, `buffered ${socket.bufferedAmount}`)
      const closed = once(socket, "close")
      socket.close(3000, "changed my mind")
      log.push(`closing ${socket.readyState}`)
      await closed
      return log
    },
    expected: ["send InvalidStateError", "buffered 0", "closing 2", "error 3", "close 3 1006 false"],
    otherwise: { undici: ["send InvalidStateError", "buffered 0", "error 3", "close 3 1006 false", "closing 2"] }
  },
  {
    title: "refuses close codes and reasons that a program can't send, in any state",
    run: async (WebSocket, url, { once, outcome }) => {
      const socket = new WebSocket(`${url}/echo`)
      const refusals = () =>
        [[999], [1001], [1005], [2999], [5000], [70_000], [-1], [null], [NaN], ["abc"], [1000, "x".repeat(124)]]
          .concat([[3000, "é".repeat(62)]])
          .map((args) => outcome(() => socket.close(...args)))
      const connecting = refusals()
      await once(socket, "open")
      const open = refusals()
      const { readyState } = socket
      socket.close(4999, "é".repeat(61))
      const { code } = await once(socket, "close")
      const isSame = [open, refusals()].every((other) => other.join() === connecting.join())
      return { connecting, isSame, readyState, code, again: outcome(() => socket.close(3000)) === undefined }
    },
    expected: {
      connecting: [...Array(10).fill("InvalidAccessError"), "SyntaxError", "SyntaxError"],
      isSame: true,
      readyState: 1,
      code: 4999,
      again: true
    }
  },
  {
    title: "says when it closes what it was given",
    run: async (WebSocket, url, { once }) => {
      const results: Array<unknown> = []
      for (const args of [[], [1000], [3000, ""], [1000.4, "rounded"], ["3001", null], [undefined], [4999, "ü"]]) {
        const socket = new WebSocket(`${url}/echo`)
        await once(socket, "open")
        socket.close(...args)
        const { code, wasClean } = await once(socket, "close")
        const asking = new WebSocket(`${url}/seen`)
        const { data } = await once(asking, "message")
        asking.close()
        await once(asking, "close")
        results.push([code, wasClean, data])
      }
      return results
    },
    expected: [
      [1005, true, "1005 "],
      [1000, true, "1000 "],
      [3000, true, "3000 "],
      [1000, true, "1000 rounded"],
      [3001, true, "3001 null"],
      [1005, true, "1005 "],
      [4999, true, "4999 ü"]
    ]
  },
  {
    title: "closes with 1000 when there is a reason and no code",
    run: async (WebSocket, url, { once, outcome }) => {
      const socket = new WebSocket(`${url}/echo`)
      await once(socket, "open")
      const thrown = outcome(() => socket.close(undefined, "why"))
      if (thrown !== undefined) socket.close()
      const { code } = await once(socket, "close")
      const asking = new WebSocket(`${url}/seen`)
      const { data } = await once(asking, "message")
      asking.close()
      await once(asking, "close")
      return thrown ?? [code, data]
    },
    expected: [1000, "1000 why"],
    // Takes the missing code for 0, against Web IDL.
    otherwise: { Chromium: "InvalidAccessError" }
  },
  {
    title: "rounds close codes to the nearest integer",
    run: async (WebSocket, url, { once, outcome }) => {
      const results: Array<unknown> = []
      for (const code of [999.6, 4999.4]) {
        const socket = new WebSocket(`${url}/echo`)
        await once(socket, "open")
        const thrown = outcome(() => socket.close(code))
        if (thrown !== undefined) socket.close()
        results.push(thrown ?? (await once(socket, "close")).code)
        if (thrown !== undefined) await once(socket, "close")
      }
      return results
    },
    expected: [1000, 4999],
    // Chromium cuts off, and undici rounds to an even number.
    otherwise: { Chromium: ["InvalidAccessError", 4999], undici: [1000, "InvalidAccessError"] }
  },
  {
    title: "hears the code and the reason of a server that closes, behind its last message",
    run: async (WebSocket, url, { once, watch }) => {
      const logs: Array<unknown> = []
      for (const path of ["/last/4000", "/last/1011", "/last/none"]) {
        const socket = new WebSocket(url + path)
        const log = watch(socket)
        await once(socket, "close")
        logs.push(log)
      }
      return logs
    },
    expected: [
      ["open 1", "message 1 last", "close 3 4000 true why"],
      ["open 1", "message 1 last", "close 3 1011 true why"],
      ["open 1", "message 1 last", "close 3 1005 true"]
    ]
  },
  {
    title: "fails when the connection is lost",
    run: async (WebSocket, url, { once, watch }) => {
      const socket = new WebSocket(`${url}/lost`)
      const log = watch(socket)
      await once(socket, "close")
      return log
    },
    expected: ["open 1", "message 1 last", "error 3", "close 3 1006 false"],
    // RFC 6455 7.2.1 has a client fail the connection then, and whoever fails it fires an error. Chromium doesn't.
    otherwise: { Chromium: ["open 1", "message 1 last", "close 3 1006 false"] }
  },
  {
    title: "drops what comes after it was closed, and what it is to send then",
    run: async (WebSocket, url, { once, watch }) => {
      const socket = new WebSocket(`${url}/echo`)
      const log = watch(socket)
      await once(socket, "open")
      socket.send("echo that comes too late")
      socket.close(3000)
      await once(socket, "close")
      return log
    },
    expected: ["open 1", "close 3 3000 true"]
  },
  ...messageScenarios
]
