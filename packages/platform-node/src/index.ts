// Generated from the modules of this folder by `npm run codegen`. Do not edit.

export * as NodeByteOps from "./NodeByteOps.ts"
export * as NodeDeflate from "./NodeDeflate.ts"
export * as NodeDuplex from "./NodeDuplex.ts"
export * as NodeHttpServer from "./NodeHttpServer.ts"
export * as NodeSocket from "./NodeSocket.ts"
export * as NodeSocketServer from "./NodeSocketServer.ts"
export * as NodeTransport from "./NodeTransport.ts"
export * as NodeUpgrade from "./NodeUpgrade.ts"
export * as NodeWebSocketClient from "./NodeWebSocketClient.ts"
export * as NodeWebSocketServer from "./NodeWebSocketServer.ts"
export * as Proxy from "./Proxy.ts"
