/** All that is expected of a `Protocol`, to be run with every `ByteOps` there is. */
import { describe } from "vitest"
import type { ByteOps } from "../../src/ByteOps.ts"
import { closing } from "./protocol/closing.ts"
import { control } from "./protocol/control.ts"
import { deferring } from "./protocol/deferring.ts"
import { faults } from "./protocol/faults.ts"
import { fragmentation } from "./protocol/fragmentation.ts"
import { lengths } from "./protocol/lengths.ts"
import { memory } from "./protocol/memory.ts"
import { properties } from "./protocol/properties.ts"
import { samples } from "./protocol/samples.ts"
import { sending } from "./protocol/sending.ts"
import { sendingFragments } from "./protocol/sendingFragments.ts"
import { stateTable } from "./protocol/states.ts"
import { streaming } from "./protocol/streaming.ts"
import { streamingProperties } from "./protocol/streamingProperties.ts"
import { text } from "./protocol/text.ts"

export const protocolSuite = (name: string, byteOps: ByteOps): void => {
  describe(`RFC 6455 with ${name}`, () => {
    for (const topic of topics) topic(byteOps)
  })
}

const topics = [
  samples,
  lengths,
  faults,
  fragmentation,
  text,
  control,
  closing,
  deferring,
  sending,
  sendingFragments,
  streaming,
  memory,
  stateTable,
  properties,
  streamingProperties
]
