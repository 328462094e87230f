import { describe } from "vitest"
import { portable } from "../src/ByteOps.ts"
import { contexts } from "./support/deflate/contexts.ts"
import { damage } from "./support/deflate/damage.ts"
import { framing } from "./support/deflate/framing.ts"
import { limits } from "./support/deflate/limits.ts"
import { samples } from "./support/deflate/samples.ts"
import { sending } from "./support/deflate/sending.ts"

describe("RFC 7692 with portable", () => {
  for (const topic of [samples, framing, limits, damage, sending, contexts]) topic(portable)
})
