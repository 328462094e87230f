// Generated from the modules of this folder by `npm run codegen`. Do not edit.

export * as Connector from "./Connector.ts"
export * as Listener from "./Listener.ts"
export * as Transport from "./Transport.ts"
export * as TransportError from "./TransportError.ts"
