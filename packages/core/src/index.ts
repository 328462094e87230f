// Generated from the modules of this folder by `npm run codegen`. Do not edit.

export * as AcceptKey from "./AcceptKey.ts"
export * as ByteOps from "./ByteOps.ts"
export * as CloseCode from "./CloseCode.ts"
export * as CloseReason from "./CloseReason.ts"
export * as Frame from "./Frame.ts"
export * as FrameDecoder from "./FrameDecoder.ts"
export * as FrameEncoder from "./FrameEncoder.ts"
export * as HandshakeFault from "./HandshakeFault.ts"
export * as Message from "./Message.ts"
export * as ProtocolFault from "./ProtocolFault.ts"
export * as Role from "./Role.ts"
export * as Utf8 from "./Utf8.ts"
