/**
 * What is wrong with a shard, as DoremiErrors: every message opens with the file and the row group, batch or line.
 * Codes: bad-magic, empty-file, truncated, unsupported-format, bad-footer, encrypted, missing-column, wrong-column-type,
 * corrupt-page, page-too-large, buffer-too-large, batch-too-large, unsupported-codec, unsupported-encoding, unsupported-endianness,
 * row-count-mismatch, too-many-rows, corrupt, bad-json, line-too-long, invalid-utf8.
 */
import type { ErrorCode } from "../lib/error-codes.ts";
import type { ErrorPlace } from "../lib/errors.ts";
import { DoremiError } from "../lib/errors.ts";

export function badShard(code: ErrorCode, place: ErrorPlace, message: string, cause?: unknown): DoremiError {
  return new DoremiError("bad-data", code, `${nameOf(place)}: ${message}`, {
    ...place,
    ...(cause !== undefined && { cause }),
  });
}

/** Runs the work; whatever it throws that is not yet one of our errors becomes one, with this code and place. */
export function guarded<T>(code: ErrorCode, place: ErrorPlace, rule: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof DoremiError) throw error;
    throw badShard(code, place, `${rule}, but decoding failed: ${reason(error)}`, error);
  }
}

/** @throws DoremiError too-many-rows */
export function checkRows(place: ErrorPlace, rows: number, { maxUnitRows }: { readonly maxUnitRows: number }): void {
  if (rows <= maxUnitRows) return;
  throw badShard(
    "too-many-rows",
    place,
    `says ${rows} rows, and at most ${maxUnitRows} (maxUnitRows) are read; write it in smaller row groups`,
  );
}

export function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function nameOf({ file, rowGroup, line }: ErrorPlace): string {
  const within = line !== undefined ? ` line ${line}` : rowGroup !== undefined ? ` row group ${rowGroup}` : "";
  return `${file ?? "shard"}${within}`;
}
