/** RFC 6455 5.5: control frames. */
import { type Case, rule } from "./Case.ts"

export const controlFrames = (): void => {
  rule("5.5", "all control frames MUST have a payload length of 125 bytes or less", [
    {
      does: "takes a Ping of 125 bytes",
      receives: "89 7d | 31 * 125",
      events: [`Ping ${ones(125)}`],
      sends: [`10 ${ones(125)}`]
    },
    { does: "takes a Pong of 125 bytes", receives: "8a 7d | 31 * 125", events: [`Pong ${ones(125)}`] },
    {
      does: "takes a Close frame of 125 bytes",
      receives: "88 7d | 03 e8 31 * 123",
      events: [`Close 1000 ${"1".repeat(123)}`],
      sends: ["8 03 e8"]
    },
    ...["88", "89", "8a"].flatMap((first): ReadonlyArray<Case> => [
      {
        does: `refuses ${first} with 126 bytes`,
        receives: `${first} 7e 00 7e | 31 * 126`,
        events: ["Failed ControlFrameTooLong"],
        sends: ["8 03 ea"]
      },
      {
        does: `refuses ${first} with a length in 64 bits`,
        receives: `${first} 7f 00 00 00 00 00 01 00 00`,
        events: ["Failed ControlFrameTooLong"],
        sends: ["8 03 ea"]
      },
      {
        does: `refuses ${first} with a small length in 16 bits`,
        receives: `${first} 7e 00 01 | 31`,
        events: ["Failed ControlFrameTooLong"],
        sends: ["8 03 ea"]
      }
    ])
  ])

  rule("5.5.1", "if there is a body, the first two bytes of the body MUST be a 2-byte unsigned integer", [
    {
      does: "takes a Close frame without a body as one without a code, and answers with none",
      receives: "88 00",
      events: ["Close 1005"],
      sends: ["8"]
    },
    {
      does: "refuses a body of one byte",
      receives: "88 01 | 03",
      events: ["Failed ClosePayloadTooShort"],
      sends: ["8 03 ea"]
    },
    { does: "takes a code without a reason", receives: "88 02 | 03 e8", events: ["Close 1000"], sends: ["8 03 e8"] },
    {
      does: "takes a code and a reason",
      receives: "88 05 | 03 e9 62 79 65",
      events: ["Close 1001 bye"],
      sends: ["8 03 e9"]
    }
  ])

  rule("5.5.1", "following the 2-byte integer, the body MAY contain UTF-8-encoded data", [
    {
      does: "takes a reason with characters of all lengths",
      receives: "88 0c | 03 e8 61 c3 a9 e2 82 ac f0 9f 98 80",
      events: ["Close 1000 aé€😀"],
      sends: ["8 03 e8"]
    },
    {
      does: "refuses a reason with a lone continuation byte",
      receives: "88 03 | 03 e8 80",
      events: ["Failed InvalidCloseReason"],
      sends: ["8 03 ef"]
    },
    {
      does: "refuses a reason that ends inside a character",
      receives: "88 04 | 03 e8 e2 82",
      events: ["Failed InvalidCloseReason"],
      sends: ["8 03 ef"]
    },
    {
      does: "refuses a reason with a surrogate",
      receives: "88 05 | 03 e8 ed a0 80",
      events: ["Failed InvalidCloseReason"],
      sends: ["8 03 ef"]
    }
  ])

  rule(
    "5.5.1",
    "if an endpoint receives a Close frame and did not previously send one, it MUST send a Close frame in response",
    [
      {
        does: "answers with the code it received, behind the Pong it owed",
        receives: "89 01 | 31 \n 88 02 | 0f a0",
        events: ["Ping 31", "Close 4000"],
        sends: ["10 31", "8 0f a0"]
      },
      {
        does: "answers once, and takes nothing behind it",
        receives: "88 02 | 03 e8 \n 88 02 | 03 e9 \n 89 00 \n 81 01 | 61",
        events: ["Close 1000"],
        sends: ["8 03 e8"]
      }
    ]
  )

  rule("5.5.2", "upon receipt of a Ping frame, an endpoint MUST send a Pong frame in response", [
    { does: "answers a Ping without application data", receives: "89 00", events: ["Ping"], sends: ["10"] },
    {
      does: "answers with identical application data, whatever the bytes are",
      receives: "89 05 | 00 ff 80 c3 28",
      events: ["Ping 00 ff 80 c3 28"],
      sends: ["10 00 ff 80 c3 28"]
    },
    {
      does: "answers Pings in order",
      receives: "89 01 | 31 \n 89 01 | 32 \n 89 00",
      events: ["Ping 31", "Ping 32", "Ping"],
      sends: ["10 31", "10 32", "10"]
    },
    {
      does: "answers a Ping between messages",
      receives: "81 01 | 61 \n 89 01 | 31 \n 81 01 | 62",
      events: ["Text a", "Ping 31", "Text b"],
      sends: ["10 31"]
    }
  ])

  rule("5.5.3", "a Pong frame MAY be sent unsolicited: a response to it is not expected", [
    { does: "takes a Pong that it didn't ask for", receives: "8a 00 \n 8a 02 | ff fe", events: ["Pong", "Pong ff fe"] },
    {
      does: "takes a Pong inside a message",
      receives: "01 01 | 61 \n 8a 01 | 31 \n 80 00",
      events: ["Pong 31", "Text a"]
    }
  ])
}

const ones = (count: number): string => "31 ".repeat(count).trim()
