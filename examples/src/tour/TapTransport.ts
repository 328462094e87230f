/**
 * A transport that lets somebody look at the bytes on their way: the whole port is an interface of a few functions, so a
 * decorator is a few lines.
 */
import type { Transport, TransportSink } from "@effect-ws/api/Transport"

/** Is shown every chunk. The bytes are its own to keep and to change. */
export interface Observer {
  readonly sent: (bytes: Uint8Array) => void
  readonly received: (bytes: Uint8Array) => void
}

/** Puts the observer in front of a transport. */
export const make = (transport: Transport, observer: Observer): Transport => ({
  info: transport.info,
  get writable() {
    return transport.writable
  },
  start: (sink) => transport.start(observe(sink, observer)),
  write: (chunks) => {
    for (const chunk of chunks) observer.sent(Uint8Array.from(chunk))
    return transport.write(chunks)
  },
  pause: () => transport.pause(),
  resume: () => transport.resume(),
  end: () => transport.end(),
  destroy: () => transport.destroy()
})

const observe = (sink: TransportSink, observer: Observer): TransportSink => ({
  chunk: (bytes) => {
    observer.received(Uint8Array.from(bytes))
    sink.chunk(bytes)
  },
  end: () => sink.end(),
  drained: () => sink.drained(),
  closed: (error) => sink.closed(error)
})
