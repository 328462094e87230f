/** RFC 6455 5.6, 5.7: data frames, and the samples as one side reads them. What it writes is in `samples.ts`. */
import { rule } from "./Case.ts"

export const dataFrames = (): void => {
  rule(
    "5.6",
    "the Payload data is text data encoded as UTF-8; a particular text frame might include a partial sequence",
    [
      { does: "delivers an empty text", receives: "81 00", events: ["Text "] },
      {
        does: "delivers text with U+0000 and a byte order mark",
        receives: "81 05 | ef bb bf 00 61",
        events: ["Text \ufeff\u0000a"]
      },
      {
        does: "delivers a text whose frames each hold half a character",
        receives: "01 01 | c3 \n 80 01 | a9",
        events: ["Text é"]
      },
      {
        does: "refuses with 1007 a whole message that is not UTF-8",
        receives: "81 01 | ff",
        events: ["Failed InvalidUtf8"],
        sends: ["8 03 ef"]
      }
    ]
  )

  rule("5.6", "the Payload data is arbitrary binary data whose interpretation is solely up to the application layer", [
    { does: "delivers an empty binary message", receives: "82 00", events: ["Binary"] },
    { does: "delivers bytes that are not UTF-8", receives: "82 05 | ff fe c0 80 ed", events: ["Binary ff fe c0 80 ed"] }
  ])

  rule("5.7", "the samples, one behind the other on one connection", [
    {
      does: "reads the unmasked text, the fragmented one, the Ping, 256 bytes, and 64 KiB",
      receives: {
        client:
          "81 05 48 65 6c 6c 6f  01 03 48 65 6c  80 02 6c 6f  89 05 48 65 6c 6c 6f  82 7e 01 00 61 * 256 " +
          "82 7f 00 00 00 00 00 01 00 00 61 * 65536"
      },
      events: [
        "Text Hello",
        "Text Hello",
        "Ping 48 65 6c 6c 6f",
        ...[256, 65_536].map((n) => `Binary ${"61 ".repeat(n)}`.trim())
      ],
      sends: ["10 48 65 6c 6c 6f"]
    },
    {
      does: "reads the masked text, the masked Ping and the masked Pong",
      receives: {
        server: "81 85 37 fa 21 3d 7f 9f 4d 51 58  89 85 37 fa 21 3d 7f 9f 4d 51 58  8a 85 37 fa 21 3d 7f 9f 4d 51 58"
      },
      events: ["Text Hello", "Ping 48 65 6c 6c 6f", "Pong 48 65 6c 6c 6f"],
      sends: ["10 48 65 6c 6c 6f"]
    }
  ])
}
