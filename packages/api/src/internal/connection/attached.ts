/**
 * Bytes whose memory is there.
 */

/**
 * Returns the view. Throws a `TypeError` when its memory was transferred, or shrunk to less than it covers: such a view looks
 * empty, and an empty message is not what its owner meant.
 */
export const attached = <View extends ArrayBufferView>(view: View): View => {
  if (view.byteLength === 0 && isTypedArray(view)) view.at(0)
  return view
}

// A DataView throws by itself, as soon as it is asked for its length.
const isTypedArray = (view: ArrayBufferView): view is Uint8Array => "at" in view
