/** RFC 6455 5.1, 5.3: a client masks, a server doesn't. */
import { rule } from "./Case.ts"

export const masking = (): void => {
  rule("5.1", "the server MUST close the connection upon receiving a frame that is not masked", [
    { does: "refuses text", receives: { server: "81 02 68 69" }, events: ["Failed UnmaskedFrame"], sends: ["8 03 ea"] },
    {
      does: "refuses a binary frame without a payload",
      receives: { server: "82 00" },
      events: ["Failed UnmaskedFrame"],
      sends: ["8 03 ea"]
    },
    { does: "refuses a Ping", receives: { server: "89 00" }, events: ["Failed UnmaskedFrame"], sends: ["8 03 ea"] },
    { does: "refuses a Pong", receives: { server: "8a 00" }, events: ["Failed UnmaskedFrame"], sends: ["8 03 ea"] },
    {
      does: "refuses a Close frame, and answers it as a fault",
      receives: { server: "88 02 03 e8" },
      events: ["Failed UnmaskedFrame"],
      sends: ["8 03 ea"]
    },
    {
      does: "refuses a continuation behind a fragment that was masked, and delivers nothing of the message",
      receives: { server: "01 81 37 fa 21 3d 5f  80 01 69" },
      events: ["Failed UnmaskedFrame"],
      sends: ["8 03 ea"]
    },
    {
      does: "delivers the message before it",
      receives: { server: "81 82 37 fa 21 3d 5f 93  81 02 68 69" },
      events: ["Text hi", "Failed UnmaskedFrame"],
      sends: ["8 03 ea"]
    }
  ])

  rule("5.1", "a client MUST close a connection if it detects a masked frame", [
    {
      does: "refuses text",
      receives: { client: "81 82 37 fa 21 3d 5f 93" },
      events: ["Failed MaskedFrame"],
      sends: ["8 03 ea"]
    },
    {
      does: "refuses text under the key 0",
      receives: { client: "81 82 00 00 00 00 68 69" },
      events: ["Failed MaskedFrame"],
      sends: ["8 03 ea"]
    },
    {
      does: "refuses a Ping without a payload",
      receives: { client: "89 80 37 fa 21 3d" },
      events: ["Failed MaskedFrame"],
      sends: ["8 03 ea"]
    },
    {
      does: "refuses a Close frame, and answers it as a fault",
      receives: { client: "88 82 37 fa 21 3d 34 12" },
      events: ["Failed MaskedFrame"],
      sends: ["8 03 ea"]
    },
    {
      does: "delivers the message before it",
      receives: { client: "81 02 68 69  81 82 37 fa 21 3d 5f 93" },
      events: ["Text hi", "Failed MaskedFrame"],
      sends: ["8 03 ea"]
    }
  ])

  rule(
    "5.3",
    "octet i of the transformed data is the XOR of octet i of the original data with octet i modulo 4 of the key",
    [
      ...(
        [
          ["no byte", "82 80 01 02 04 08", "Binary"],
          ["one byte", "82 81 01 02 04 08 00", "Binary 01"],
          ["two bytes", "82 82 01 02 04 08 00 00", "Binary 01 02"],
          ["three bytes", "82 83 01 02 04 08 00 00 00", "Binary 01 02 04"],
          ["four bytes", "82 84 01 02 04 08 00 00 00 00", "Binary 01 02 04 08"],
          ["five bytes", "82 85 01 02 04 08 00 00 00 00 00", "Binary 01 02 04 08 01"],
          ["bytes under a key of ones", "82 85 ff ff ff ff 00 ff 0f f0 aa", "Binary ff 00 f0 0f 55"],
          ["bytes under the key 0", "82 85 00 00 00 00 00 ff 0f f0 aa", "Binary 00 ff 0f f0 aa"],
          ["bytes that are the key", "82 84 80 00 00 01 80 00 00 01", "Binary 00 00 00 00"]
        ] as const
      ).map(([what, server, event]) => ({ does: `unmasks ${what}`, receives: { server }, events: [event] })),
      {
        does: "begins at the first octet of the key again in each frame",
        receives: { server: "02 83 01 02 04 08 00 00 00  80 83 01 02 04 08 00 00 00" },
        events: ["Binary 01 02 04 01 02 04"]
      },
      {
        does: "goes on with the key of a frame behind a control frame with another key",
        receives: { server: "02 81 01 02 04 08 00  89 81 ff 00 00 00 00  80 82 10 20 40 80 00 00" },
        events: ["Ping ff", "Binary 01 10 20"],
        sends: ["10 ff"]
      },
      {
        does: "unmasks 300 bytes",
        receives: { server: "82 fe 01 2c 61 61 61 61 00 * 300" },
        events: [`Binary ${Array.from({ length: 300 }, () => "61").join(" ")}`]
      },
      {
        does: "unmasks the reason of a Close frame",
        receives: { server: "88 85 01 02 04 08 02 ea 66 71 64" },
        events: ["Close 1000 bye"],
        sends: ["8 03 e8"]
      }
    ]
  )
}
