/**
 * TensorBoard's event files: records of TFRecord framing (length, masked CRC-32C, bytes, masked CRC-32C), each an Event
 * message of protocol buffers. Scalars only; TensorBoard keeps them in float32.
 */
import type { FileHandle } from "node:fs/promises";

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

/** Says that the steps from `step` on are told again: what earlier files of the folder have of them no longer holds. */
export function restartRecord(wallTime: number, step: number): Buffer {
  const START = 1;
  return record(Buffer.concat([double(1, wallTime), varintField(2, step), bytesField(7, varintField(1, START))]));
}

export function scalarRecord({ step, wallTime, scalars }: ScalarEvent): Buffer {
  return eventRecord(wallTime, scalarFields(step, scalars));
}

/** @param fields all of the event but its time */
export function eventRecord(wallTime: number, fields: Buffer): Buffer {
  return record(Buffer.concat([double(1, wallTime), fields]));
}

/** Of an event of scalars all but its time. */
export function scalarFields(step: number, scalars: ScalarEvent["scalars"]): Buffer {
  const values = scalars.map(([tag, value]) =>
    bytesField(1, Buffer.concat([bytesField(1, Buffer.from(tag)), float(2, value)])),
  );
  return Buffer.concat([varintField(2, step), bytesField(5, Buffer.concat(values))]);
}

/** A record of a file that was read. */
export interface StoredEvent {
  readonly wallTime: number;
  /** the event's fields but for its time, as `scalarFields` gives them of scalars; valid until the next one is asked for */
  readonly fields: Buffer;
  /** byte of the file after the record */
  readonly end: number;
}

/** bytes: longer than any event that is written here */
const RECORD_LIMIT = 64 << 20;

/** The events of a file that was written here, in order, to its end or the first record that is damaged or not whole. */
export async function* storedEvents(handle: FileHandle): AsyncGenerator<StoredEvent> {
  const { size } = await handle.stat();
  let buffer = Buffer.alloc(1 << 20);
  let [from, have] = [0, 0]; // byte of the file at the buffer's start, bytes in it
  let at = 0; // of the next record, in the buffer
  const fill = async (wanted: number): Promise<boolean> => {
    if (have - at >= wanted) return true;
    if (from + at + wanted > size) return false;
    const rest = buffer.subarray(at, have);
    const larger = wanted > buffer.length ? Buffer.alloc(wanted) : buffer;
    rest.copy(larger);
    [buffer, from, have, at] = [larger, from + at, rest.length, 0];
    while (have < wanted) {
      const { bytesRead } = await handle.read(buffer, have, buffer.length - have, from + have);
      if (bytesRead === 0) return false;
      have += bytesRead;
    }
    return true;
  };
  while (await fill(12)) {
    const header = buffer.subarray(at, at + 8);
    const length = Number(header.readBigUInt64LE());
    if (length > RECORD_LIMIT || !checksum(header).equals(buffer.subarray(at + 8, at + 12))) return;
    if (!(await fill(16 + length))) return;
    const data = buffer.subarray(at + 12, at + 12 + length);
    if (!checksum(data).equals(buffer.subarray(at + 12 + length, at + 16 + length))) return;
    at += 16 + length;
    const hasTime = data[0] === tagByte(1, 1) && data.length >= 9;
    yield { wallTime: hasTime ? data.readDoubleLE(1) : 0, fields: hasTime ? data.subarray(9) : data, end: from + at };
  }
}

/** The step of an event of scalars; undefined of another one. */
export function stepOfScalars(fields: Buffer): number | undefined {
  if (fields[0] !== tagByte(2, 0)) return undefined;
  let [step, scale] = [0, 1];
  for (let at = 1; at < fields.length; at++, scale *= 128) {
    const byte = fields[at]!;
    step += (byte & 127) * scale;
    if (byte < 128) return fields[at + 1] === tagByte(5, 2) ? step : undefined;
  }
  return undefined;
}

function record(data: Buffer): Buffer {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(data.length));
  return Buffer.concat([length, checksum(length), data, checksum(data)]);
}

/** Field number and wire type. */
const tagByte = (field: number, type: 0 | 1 | 2 | 5) => field * 8 + type;
const tag = (field: number, type: 0 | 1 | 2 | 5) => varint(tagByte(field, type));

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

export function crc32c(bytes: Uint8Array): number {
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
