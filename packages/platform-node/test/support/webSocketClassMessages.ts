/** The scenarios of a WebSocket class about its messages and who listens to them. */
import type { Scenario } from "./webSocketClass.ts"

export const messageScenarios: ReadonlyArray<Scenario> = [
  {
    title: "counts the bytes that it is to send",
    run: async (WebSocket, url, { messages, once }) => {
      const socket = new WebSocket(`${url}/echo`)
      await once(socket, "open")
      const amounts: Array<number> = []
      const echoed = messages(socket, 13)
      const view = new DataView(new ArrayBuffer(9), 2, 3)
      const bytes = [new Uint8Array(3), new ArrayBuffer(4), view, new Uint16Array(2), new Blob(["hello"])]
      for (const data of ["abc", "é\ud800", "", null, undefined, {}, 12, [1, 2], ...bytes]) {
        socket.send(data)
        amounts.push(socket.bufferedAmount)
      }
      await echoed
      amounts.push(socket.bufferedAmount)
      socket.close()
      await once(socket, "close")
      return amounts
    },
    expected: [3, 8, 8, 12, 21, 36, 38, 41, 44, 48, 51, 55, 60, 0]
  },
  {
    title: "counts for ever what it could not send any more",
    run: async (WebSocket, url, { once }) => {
      const socket = new WebSocket(`${url}/echo`)
      await once(socket, "open")
      socket.close()
      const amounts: Array<number> = [socket.bufferedAmount]
      for (const data of ["é", new Uint8Array(200), new Blob(["abc"])]) {
        socket.send(data)
        amounts.push(socket.bufferedAmount)
      }
      await once(socket, "close")
      socket.send("a")
      return [...amounts, socket.bufferedAmount]
    },
    expected: [0, 2, 202, 205, 206],
    // Forgets it.
    otherwise: { undici: [0, 0, 0, 0, 0] }
  },
  {
    title: "sends anything as text that is no bytes",
    run: async (WebSocket, url, { once, outcome }) => {
      const socket = new WebSocket(`${url}/echo`)
      await once(socket, "open")
      const received: Array<unknown> = [outcome(() => socket.send()), outcome(() => socket.send(Symbol("a")))]
      for (const data of [null, undefined, { a: 1 }, 12, [1, 2], "a\ud800b", ""]) {
        socket.send(data)
        received.push((await once(socket, "message")).data)
      }
      socket.close()
      await once(socket, "close")
      return received
    },
    expected: ["TypeError", "TypeError", "null", "undefined", "[object Object]", "12", "1,2", "a\ufffdb", ""]
  },
  {
    title: "gives binary messages as binaryType says at that time",
    run: async (WebSocket, url, { once }) => {
      const socket = new WebSocket(`${url}/echo`)
      await once(socket, "open")
      const receive = async (): Promise<unknown> => {
        socket.send(Uint8Array.of(0, 255, 128))
        const { data, origin } = await once(socket, "message")
        const bytes = new Uint8Array(data instanceof Blob ? await data.arrayBuffer() : data)
        return [Object.prototype.toString.call(data), data.type, Array.from(bytes).join(), origin === url]
      }
      const first = await receive()
      socket.binaryType = "arraybuffer"
      const second = await receive()
      socket.binaryType = "blob"
      const received = [first, second, await receive()]
      socket.close()
      await once(socket, "close")
      return received
    },
    expected: [
      ["[object Blob]", "", "0,255,128", true],
      ["[object ArrayBuffer]", undefined, "0,255,128", true],
      ["[object Blob]", "", "0,255,128", true]
    ]
  },
  {
    title: "ignores a binaryType that is none",
    run: async (WebSocket, url, { once }) => {
      const socket = new WebSocket(`${url}/echo`)
      socket.binaryType = "arraybuffer"
      socket.binaryType = "buffer"
      const { binaryType } = socket
      await once(socket, "open")
      socket.close()
      await once(socket, "close")
      return binaryType
    },
    expected: "arraybuffer",
    // Falls back to the default.
    otherwise: { undici: "blob" }
  },
  {
    title: "keeps the order when one of the messages is a blob, and closes behind it",
    run: async (WebSocket, url, { once }) => {
      const socket = new WebSocket(`${url}/echo`)
      await once(socket, "open")
      const received: Array<unknown> = []
      socket.onmessage = ({ data }: any) => received.push(typeof data === "string" ? data : data.size)
      for (const data of ["1", new Blob(["x".repeat(100_000)]), "2", new Blob([]), "3"]) socket.send(data)
      while (received.length < 5) await once(socket, "message")
      socket.close(3000)
      await once(socket, "close")
      return received
    },
    expected: ["1", 100_000, "2", 0, "3"]
  },
  {
    title: "copies bytes when it is to send them",
    run: async (WebSocket, url, { messages, once }) => {
      const socket = new WebSocket(`${url}/echo`)
      socket.binaryType = "arraybuffer"
      await once(socket, "open")
      const bytes = Uint8Array.of(1, 2, 3)
      const echoed = messages(socket, 2)
      socket.send(new Blob([new Uint8Array(70_000)]))
      socket.send(bytes)
      bytes.fill(9)
      const received = Array.from(new Uint8Array((await echoed)[1]))
      socket.close()
      await once(socket, "close")
      return received
    },
    expected: [1, 2, 3]
  },
  {
    title: "sends what waits before it closes",
    run: async (WebSocket, url, { once }) => {
      const socket = new WebSocket(`${url}/count`)
      await once(socket, "open")
      for (let i = 0; i < 20; i++) socket.send(new Uint8Array(100_000))
      socket.send(new Blob([new Uint8Array(100_000)]))
      socket.close(3000)
      await once(socket, "close")
      const asking = new WebSocket(`${url}/counted`)
      const { data } = await once(asking, "message")
      asking.close()
      await once(asking, "close")
      return [data, socket.bufferedAmount]
    },
    expected: ["2100000", 0],
    // Closes in front of a blob that it has not read yet.
    otherwise: { undici: ["2000000", 0] }
  },
  {
    title: "calls handlers in their turn among the listeners",
    run: async (WebSocket, url, { once }) => {
      const socket = new WebSocket(`${url}/echo`)
      const called: Array<unknown> = []
      const first = () => called.push("first")
      socket.onopen = first
      socket.addEventListener("open", () => called.push("listener"))
      const isKept = socket.onopen === first
      socket.onopen = function (this: unknown, { bubbles, cancelable, type }: any) {
        called.push("second", this === socket, bubbles, cancelable, type)
      }
      await once(socket, "open")
      socket.close()
      await once(socket, "close")
      return [isKept, ...called]
    },
    expected: [true, "second", true, false, false, "open", "listener"],
    // Puts the one that takes the place of another behind the rest.
    otherwise: { undici: [true, "listener", "second", true, false, false, "open"] }
  },
  {
    title: "puts a handler behind the listeners when there was none for a while",
    run: async (WebSocket, url, { once }) => {
      const socket = new WebSocket(`${url}/echo`)
      const called: Array<unknown> = []
      socket.onopen = () => called.push("first")
      socket.addEventListener("open", () => called.push("listener"))
      socket.onopen = null
      socket.onopen = () => called.push("second")
      await once(socket, "open")
      socket.close()
      await once(socket, "close")
      return called
    },
    expected: ["listener", "second"]
  },
  {
    title: "takes an object for a handler that does nothing, and all else for none",
    run: async (WebSocket, url, { once }) => {
      const socket = new WebSocket(`${url}/echo`)
      const handler = {}
      socket.onopen = handler
      const isKept = socket.onopen === handler
      await once(socket, "open")
      const others = [3, "text", undefined].map((value) => {
        socket.onopen = value
        return socket.onopen
      })
      socket.close()
      await once(socket, "close")
      return [isKept, ...others]
    },
    expected: [true, null, null, null]
  },
  {
    title: "gives whoever has awaited one event the time to listen for the next",
    run: async (WebSocket, url, { once }) => {
      const socket = new WebSocket(`${url}/three`)
      await once(socket, "open")
      const closed = once(socket, "close")
      const received: Array<unknown> = []
      for (;;) {
        // Takes a few steps: a browser gives each event a task of its own.
        const event = await (async () => Promise.race([once(socket, "message"), closed]))()
        if (event.type === "close") return [...received, event.code]
        received.push(event.data)
      }
    },
    expected: ["one", "two", "three", 1000],
    // Tells of all that came in one packet at once: what is lost there is up to the network.
    notFor: "undici"
  }
]
