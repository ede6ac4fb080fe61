/**
 * TensorBoard's event files: records of TFRecord framing (length, masked CRC-32C, bytes, masked CRC-32C), each an Event
 * message of protocol buffers. Scalars only; TensorBoard keeps them in float32.
 */

/** Figures of one step. */
export interface ScalarEvent {
  readonly step: number;
  /** seconds since 1970, which TensorBoard shows as the time of the step */
  readonly wallTime: number;
  readonly scalars: readonly (readonly [tag: string, value: number])[];
}

/** The record that opens a file. */
export function openingRecord(wallTime: number): Buffer {
  return record(Buffer.concat([double(1, wallTime), bytesField(3, Buffer.from("brain.Event:2"))]));
}

export function scalarRecord({ step, wallTime, scalars }: ScalarEvent): Buffer {
  const values = scalars.map(([tag, value]) =>
    bytesField(1, Buffer.concat([bytesField(1, Buffer.from(tag)), float(2, value)])),
  );
  return record(Buffer.concat([double(1, wallTime), varintField(2, step), bytesField(5, Buffer.concat(values))]));
}

function record(data: Buffer): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(data.length));
  return Buffer.concat([length, checksum(length), data, checksum(data)]);
}

/** Field number and wire type. */
const tag = (field: number, type: 0 | 1 | 2 | 5) => varint(field * 8 + type);

const varintField = (field: number, value: number) => Buffer.concat([tag(field, 0), varint(value)]);
const bytesField = (field: number, bytes: Buffer) => Buffer.concat([tag(field, 2), varint(bytes.length), bytes]);

/** Nothing for 0, as proto3 has it. */
function double(field: number, value: number): Buffer {
  if (value === 0) return Buffer.alloc(0);
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return Buffer.concat([tag(field, 1), bytes]);
}

function float(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return Buffer.concat([tag(field, 5), bytes]);
}

/** @param value a safe integer ≥ 0 */
function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    bytes.push(rest >= 128 ? (rest % 128) | 128 : rest);
    if (rest < 128) return Buffer.from(bytes);
  }
}

/** Castagnoli's polynomial, reflected. */
const POLYNOMIAL = 0x82f63b78;
const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
  return crc;
});

function crc32c(bytes: Uint8Array): number {
  let crc = 0xffff_ffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** Rotated and moved, since checksums of checksums are weak. */
function checksum(bytes: Uint8Array): Buffer {
  const crc = crc32c(bytes);
  const masked = Buffer.alloc(4);
  masked.writeUInt32LE((((crc >>> 15) | (crc << 17)) + 0xa282_ead8) >>> 0);
  return masked;
}
