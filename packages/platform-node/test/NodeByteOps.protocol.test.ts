import { nodeByteOps } from "@effect-ws/platform-node/NodeByteOps"
import { protocolSuite } from "../../core/test/support/protocolSuite.ts"

protocolSuite("nodeByteOps", nodeByteOps)
