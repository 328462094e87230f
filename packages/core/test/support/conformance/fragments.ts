/** RFC 6455 5.4: fragmentation. */
import { rule } from "./Case.ts"

export const fragments = (): void => {
  rule("5.4", "an unfragmented message consists of a single frame with the FIN bit set and an opcode other than 0", [
    { does: "delivers text", receives: "81 02 | 68 69", events: ["Text hi"] },
    { does: "delivers bytes", receives: "82 02 | 68 69", events: ["Binary 68 69"] },
    {
      does: "delivers messages in the order of the wire",
      receives: "81 01 | 31 \n 82 01 | 32 \n 81 01 | 33",
      events: ["Text 1", "Binary 32", "Text 3"]
    }
  ])

  rule(
    "5.4",
    "a fragmented message is a frame with FIN clear, zero or more with opcode 0, and one with opcode 0 and FIN",
    [
      { does: "joins two fragments", receives: "01 01 | 61 \n 80 01 | 62", events: ["Text ab"] },
      {
        does: "joins five fragments",
        receives: "02 01 | 01 \n 00 01 | 02 \n 00 02 | 03 04 \n 00 01 | 05 \n 80 01 | 06",
        events: ["Binary 01 02 03 04 05 06"]
      },
      { does: "joins fragments of which the first is empty", receives: "01 00 \n 80 01 | 61", events: ["Text a"] },
      { does: "joins fragments of which the last is empty", receives: "01 01 | 61 \n 80 00", events: ["Text a"] },
      {
        does: "joins fragments of which all are empty",
        receives: "02 00 \n 00 00 \n 00 00 \n 80 00",
        events: ["Binary"]
      },
      {
        does: "joins fragments with lengths of all forms",
        receives: "02 01 | 61 \n 00 7e 00 7e | 61 * 126 \n 80 7d | 61 * 125",
        events: [`Binary ${"61 ".repeat(252)}`.trim()]
      },
      {
        does: "takes the type of a message from its first fragment",
        receives: "02 02 | c3 28 \n 80 01 | ff",
        events: ["Binary c3 28 ff"]
      },
      {
        does: "takes two fragmented messages one after the other",
        receives: "01 01 | 61 \n 80 01 | 62 \n 02 01 | 63 \n 80 01 | 64",
        events: ["Text ab", "Binary 63 64"]
      },
      { does: "delivers nothing of a message that has not ended", receives: "01 01 | 61 \n 00 01 | 62", events: [] }
    ]
  )

  rule("5.4", "control frames MAY be injected in the middle of a fragmented message", [
    {
      does: "answers a Ping between fragments before the message ends",
      receives: "01 01 | 61 \n 89 01 | 31 \n 80 01 | 62",
      events: ["Ping 31", "Text ab"],
      sends: ["10 31"]
    },
    {
      does: "takes a Pong between fragments",
      receives: "02 01 | 61 \n 8a 00 \n 80 01 | 62",
      events: ["Pong", "Binary 61 62"]
    },
    {
      does: "takes control frames in every gap",
      receives: "01 00 \n 89 00 \n 00 01 | 61 \n 8a 01 | 32 \n 89 01 | 33 \n 00 00 \n 8a 00 \n 80 00 \n 89 00",
      events: ["Ping", "Pong 32", "Ping 33", "Pong", "Text a", "Ping"],
      sends: ["10", "10 33", "10"]
    },
    {
      does: "takes a Close frame between fragments, and drops the message",
      receives: "01 01 | 61 \n 88 02 | 03 e8 \n 80 01 | 62",
      events: ["Close 1000"],
      sends: ["8 03 e8"]
    }
  ])

  rule("5.4", "control frames themselves MUST NOT be fragmented", [
    {
      does: "refuses a Ping without FIN",
      receives: "09 01 | 31",
      events: ["Failed FragmentedControlFrame"],
      sends: ["8 03 ea"]
    },
    {
      does: "refuses a Pong without FIN inside a message",
      receives: "01 01 | 61 \n 0a 00",
      events: ["Failed FragmentedControlFrame"],
      sends: ["8 03 ea"]
    },
    {
      does: "refuses a Close frame without FIN",
      receives: "08 02 | 03 e8",
      events: ["Failed FragmentedControlFrame"],
      sends: ["8 03 ea"]
    }
  ])

  rule("5.4", "the fragments of one message MUST NOT be interleaved between the fragments of another message", [
    {
      does: "refuses a text inside a text",
      receives: "01 01 | 61 \n 81 01 | 62",
      events: ["Failed ExpectedContinuation"],
      sends: ["8 03 ea"]
    },
    {
      does: "refuses a text that begins inside a binary message",
      receives: "02 01 | 61 \n 01 01 | 62",
      events: ["Failed ExpectedContinuation"],
      sends: ["8 03 ea"]
    },
    {
      does: "refuses a binary message inside a text, behind a Ping",
      receives: "01 01 | 61 \n 89 00 \n 82 00",
      events: ["Ping", "Failed ExpectedContinuation"],
      sends: ["10", "8 03 ea"]
    },
    {
      does: "refuses a message inside another whose fragments are empty",
      receives: "02 00 \n 00 00 \n 82 00",
      events: ["Failed ExpectedContinuation"],
      sends: ["8 03 ea"]
    },
    {
      does: "refuses a final continuation where no message has begun",
      receives: "80 01 | 61",
      events: ["Failed UnexpectedContinuation"],
      sends: ["8 03 ea"]
    },
    {
      does: "refuses a continuation where no message has begun",
      receives: "00 01 | 61",
      events: ["Failed UnexpectedContinuation"],
      sends: ["8 03 ea"]
    },
    {
      does: "refuses a continuation behind a message of one frame",
      receives: "81 01 | 61 \n 80 01 | 62",
      events: ["Text a", "Failed UnexpectedContinuation"],
      sends: ["8 03 ea"]
    },
    {
      does: "refuses a continuation behind a message that has ended",
      receives: "01 01 | 61 \n 80 01 | 62 \n 00 01 | 63",
      events: ["Text ab", "Failed UnexpectedContinuation"],
      sends: ["8 03 ea"]
    },
    {
      does: "refuses a continuation behind a control frame alone",
      receives: "89 00 \n 80 00",
      events: ["Ping", "Failed UnexpectedContinuation"],
      sends: ["10", "8 03 ea"]
    }
  ])
}
