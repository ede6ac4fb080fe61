/** One line of JSON Lines: parsed, and its columns found by path. Says what is wrong in words; the caller knows where. */
import { constants, isUtf8 } from "node:buffer";
import type { ErrorCode } from "../../lib/error-codes.ts";
import { didYouMean } from "../../lib/nearest.ts";
import { toValidUtf8 } from "../../lib/utf8.ts";

export class BadLine extends Error {
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string) {
    super(message);
    this.code = code;
  }

  /** Those of bytes and lengths say how to mend them; of others a line can only be mended by who knows it. */
  get saysRemedy(): boolean {
    return this.code === "invalid-utf8" || this.code === "line-too-long";
  }
}

export type JsonObject = Readonly<Record<string, unknown>>;

export interface ParsedLine {
  readonly record: JsonObject;
  /** something of it was no UTF-8; halves of pairs that escapes brought in are still in its strings */
  readonly isReplaced: boolean;
}

const LONE_SURROGATE = /\p{Surrogate}/u;

/**
 * undefined for a line of nothing but white space.
 * @param replace take U+FFFD for what is not UTF-8 @throws BadLine bad-json, invalid-utf8, line-too-long
 */
export function parseRecord(bytes: Buffer, replace = false): ParsedLine | undefined {
  if (bytes.length > constants.MAX_STRING_LENGTH) {
    throw new BadLine("line-too-long", `has ${bytes.length} bytes, more than a string can hold; split the document`);
  }
  const isValid = isUtf8(bytes);
  if (!isValid && !replace) {
    throw new BadLine("invalid-utf8", "must be UTF-8, and has other bytes; convert the file, for example with iconv");
  }
  const line = (isValid ? bytes : Buffer.from(toValidUtf8(bytes))).toString("utf8");
  if (line.length < 64 && line.trim() === "") return undefined;
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    if (line.trim() === "") return undefined;
    const hint = line.trimStart().startsWith("[")
      ? " (is the file one JSON array? it must be an object on each line)"
      : "";
    throw new BadLine("bad-json", `must be a JSON object${hint}: ${error instanceof Error ? error.message : error}`);
  }
  if (value === null || typeof value !== "object" || Array.isArray(value)) {
    throw new BadLine("bad-json", `must be a JSON object; it is ${kindOf(value)}`);
  }
  // Only an escape can bring in half of a pair: the bytes are UTF-8.
  const isHalf = bytes.includes("\\u") && hasLoneSurrogate(value);
  if (isHalf && !replace) {
    throw new BadLine(
      "invalid-utf8",
      "has a lone surrogate (\\ud800 to \\udfff without its other half), which UTF-8 cannot hold; write both halves or neither",
    );
  }
  return { record: value as JsonObject, isReplaced: !isValid || isHalf };
}

/** The string at a path, or null. @throws BadLine missing-column, wrong-column-type */
export function stringAt(record: JsonObject, path: string): string | null {
  const value = valueAt(record, path);
  if (value === undefined) {
    const names = Object.keys(record);
    throw new BadLine(
      "missing-column",
      `must have ${path}; its keys are ${names.join(", ") || "none"}${didYouMean(path, names)}`,
    );
  }
  if (value === null || typeof value === "string") return value;
  throw new BadLine("wrong-column-type", `${path} must be a string; it is ${kindOf(value)}`);
}

/** A key of exactly that name first, then dots into objects; null below a null; undefined where there is none. */
export function valueAt(record: JsonObject, path: string): unknown {
  if (Object.hasOwn(record, path)) return record[path];
  for (let dot = path.indexOf("."); dot >= 0; dot = path.indexOf(".", dot + 1)) {
    const key = path.slice(0, dot);
    if (!Object.hasOwn(record, key)) continue;
    const inner = record[key];
    if (inner === null) return null;
    if (typeof inner === "object" && !Array.isArray(inner)) return valueAt(inner as JsonObject, path.slice(dot + 1));
  }
  return undefined;
}

function hasLoneSurrogate(value: unknown): boolean {
  if (typeof value === "string") return LONE_SURROGATE.test(value);
  return value !== null && typeof value === "object" && Object.values(value).some(hasLoneSurrogate);
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "an array";
  return typeof value === "object" ? "an object" : `the ${typeof value} ${JSON.stringify(value)}`;
}
