/**
 * Tells by the first byte of a connection whether the peer wants TLS or speaks HTTP as it is.
 *
 * What was read goes back to the socket: whoever takes it over reads the connection from its first byte on, and no
 * other byte decides, so a peer can't make this wait by sending slowly.
 */
import type * as Net from "node:net"

/**
 * Reads a paused socket until its first bytes have come, puts them back, pauses it and tells. The socket is the
 * caller's again from then on, with no listener left.
 *
 * A peer that ends, resets, or sends nothing for `patience` milliseconds loses the connection, and nothing is told.
 */
export const detect = (socket: Net.Socket, patience: number, onDetected: (isTls: boolean) => void): void => {
  const giveUp = () => void socket.destroy()
  const onData = (chunk: Uint8Array) => {
    socket.off("data", onData).off("end", giveUp).off("timeout", giveUp).off("error", ignore)
    socket.setTimeout(0)
    socket.pause()
    socket.unshift(chunk)
    onDetected(chunk[0] === handshakeRecord)
  }
  socket.on("data", onData).on("end", giveUp).on("timeout", giveUp).on("error", ignore)
  socket.setTimeout(patience)
  socket.resume()
}

// A reset destroys the socket by itself.
const ignore = () => {}

// RFC 8446 5.1: the type of the record that a ClientHello comes in. RFC 9112 2.2 and 3: a request begins with a letter, a
// digit, some other visible character, or an empty line.
const handshakeRecord = 0x16
