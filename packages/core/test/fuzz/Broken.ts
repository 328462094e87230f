/** What `npm run fuzz` finds at once: an endpoint that takes any bytes for text. Proves that it can fail. */
import { portable } from "../../src/ByteOps.ts"
import { fuzzFrames } from "./frames.ts"
import type { Execution } from "./Fuzz.ts"

export { describeFailure, fuzz } from "./Fuzz.ts"

export const documentedOutcomesOnly: Execution = (random) => fuzzFrames(random, { ...portable, isUtf8: () => true })
