/**
 * RFC 6455, sections 5 to 8, rule by rule: frames written by hand, each transcript received whole, byte by byte and split at
 * every offset by both roles. `support/protocol` holds what goes beyond the RFC: memory, limits, properties.
 */
import { closing } from "./support/conformance/closing.ts"
import { controlFrames } from "./support/conformance/controlFrames.ts"
import { dataFrames } from "./support/conformance/dataFrames.ts"
import { fragments } from "./support/conformance/fragments.ts"
import { framing } from "./support/conformance/framing.ts"
import { masking } from "./support/conformance/masking.ts"
import { sendingAndReceiving } from "./support/conformance/sendingAndReceiving.ts"
import { utf8 } from "./support/conformance/utf8.ts"

const sections = [masking, framing, fragments, controlFrames, dataFrames, sendingAndReceiving, closing, utf8]
for (const section of sections) section()
