/** Numbers as text that is short in JSON, and back; both ways in the browser too. */
import type { PackedNumbers } from "./contract.ts";

const CHUNK = 0x8000;

export function packNumbers(values: Float64Array | readonly number[]): PackedNumbers {
  const bytes = new DataView(new ArrayBuffer(4 * values.length));
  for (let i = 0; i < values.length; i++) bytes.setFloat32(4 * i, values[i]!, true);
  const all = new Uint8Array(bytes.buffer);
  let text = "";
  for (let at = 0; at < all.length; at += CHUNK) text += String.fromCharCode(...all.subarray(at, at + CHUNK));
  return btoa(text);
}

export function unpackNumbers(packed: PackedNumbers): Float32Array {
  const text = atob(packed);
  const bytes = new DataView(new ArrayBuffer(text.length));
  for (let i = 0; i < text.length; i++) bytes.setUint8(i, text.charCodeAt(i));
  return Float32Array.from({ length: text.length / 4 }, (_, i) => bytes.getFloat32(4 * i, true));
}
