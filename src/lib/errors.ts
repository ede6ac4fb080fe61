/**
 * Every failure that a user can cause or meet is a DoremiError with a stable code. The message says who, the rule,
 * what was found and what to do. This module also carries errors across thread boundaries as plain data, because
 * structured clone drops the class and, for some errors, the message.
 */
import type { ErrorCode, ErrorKind } from "./error-codes.ts";

/** kind → process exit status (sysexits.h where one fits). */
export const EXIT_STATUS = {
  usage: 2,
  "bad-data": 65,
  "missing-input": 66,
  internal: 70,
  "cannot-write": 73,
  interrupted: 75,
  unavailable: 75,
  "no-permission": 77,
  "bad-configuration": 78,
} as const satisfies Record<ErrorKind, number>;

export type { ErrorKind };

export interface ErrorPlace {
  /** path or URI of the file at fault */
  readonly file?: string;
  /** 0-based row group (Parquet) or record batch (Arrow) */
  readonly rowGroup?: number;
  /** 1-based line (JSONL, YAML) */
  readonly line?: number;
}

export interface ErrorDetail extends ErrorPlace {
  readonly cause?: unknown;
}

/** @example throw new DoremiError("bad-data", "truncated", "shard a.parquet: must end in PAR1, …", { file: "a.parquet" }) */
export class DoremiError extends Error {
  override readonly name = "DoremiError";
  readonly kind: ErrorKind;
  /** stable, kebab-case, for scripts: `truncated`, `missing-column`, `unknown-key`, … */
  readonly code: ErrorCode;
  readonly file?: string;
  readonly rowGroup?: number;
  readonly line?: number;

  constructor(kind: ErrorKind, code: ErrorCode, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.kind = kind;
    this.code = code;
    if (detail.file !== undefined) this.file = detail.file;
    if (detail.rowGroup !== undefined) this.rowGroup = detail.rowGroup;
    if (detail.line !== undefined) this.line = detail.line;
  }

  get exitStatus(): number {
    return EXIT_STATUS[this.kind];
  }
}

/** A failure as plain data: what worker threads return and what the CLI prints as JSON. */
export interface PlainError extends ErrorPlace {
  readonly kind: ErrorKind;
  readonly code: ErrorCode;
  readonly message: string;
  readonly stack?: string;
}

export function toPlainError(error: unknown): PlainError {
  if (error instanceof DoremiError) {
    return {
      kind: error.kind,
      code: error.code,
      message: error.message,
      ...(error.file !== undefined && { file: error.file }),
      ...(error.rowGroup !== undefined && { rowGroup: error.rowGroup }),
      ...(error.line !== undefined && { line: error.line }),
    };
  }
  const system = systemError(error);
  if (system) return toPlainError(system);
  const message = error instanceof Error ? error.message : String(error);
  const stack = error instanceof Error ? error.stack : undefined;
  return { kind: "internal", code: "internal", message, ...(stack !== undefined && { stack }) };
}

export function fromPlainError(plain: PlainError): DoremiError {
  const error = new DoremiError(plain.kind, plain.code, plain.message, plain);
  if (plain.stack !== undefined) error.stack = plain.stack;
  return error;
}

/** Adds the place to an error that was thrown where the file's name was not known. */
export function withPlace(error: unknown, place: ErrorPlace): DoremiError {
  const plain = toPlainError(error);
  return fromPlainError({ ...place, ...plain });
}

/**
 * Errors of the file system and of an abort in our words; anything else as it is.
 * @param where file or folder to name when the error names none, as a full disk does not
 */
export function explainSystemError(error: unknown, where: string): unknown {
  return systemError(error, where) ?? error;
}

/** Errors of writing a file or making a folder, which name the one that was asked for and not what it was made by. */
export function explainUnwritable(error: unknown, path: string): unknown {
  if (!(error instanceof Error) || !("code" in error) || !("syscall" in error)) return error;
  const detail = { file: path, cause: error };
  switch (error.code) {
    case "EEXIST":
    case "ENOTDIR":
      return new DoremiError(
        "bad-configuration",
        "not-a-folder",
        `${path}: there must be folders down to it, and one of them is a file; choose another --output`,
        detail,
      );
    case "EISDIR":
      return new DoremiError(
        "usage",
        "output-is-folder",
        `${path}: a file is to be written, and this is a folder; name a file in it`,
        detail,
      );
    case "ENOENT":
      return new DoremiError(
        "cannot-write",
        "cannot-create",
        `${path}: nothing can be made there; choose another --output`,
        detail,
      );
    case "EACCES":
    case "EPERM":
      return new DoremiError(
        "cannot-write",
        "no-permission",
        `${path}: no permission to write it; check owner and mode of its folder, or choose another --output`,
        detail,
      );
    default:
      return systemError(Object.assign(error, { path }), path) ?? error;
  }
}

/** Node's own file-system errors, in the words of ours; undefined for anything else. */
function systemError(error: unknown, where?: string): DoremiError | undefined {
  if (error instanceof Error && error.name === "AbortError") {
    return new DoremiError(
      "interrupted",
      "interrupted",
      "stopped; run the same command again and it goes on from here",
      { cause: error },
    );
  }
  if (!(error instanceof Error) || !("code" in error) || !("syscall" in error)) return undefined;
  const path = "path" in error && typeof error.path === "string" ? error.path : where;
  const place = path === undefined ? { cause: error } : { file: path, cause: error };
  const who = path ?? "a file";
  switch (error.code) {
    case "ENOENT":
      return new DoremiError("missing-input", "missing-file", `${who}: no such file or folder; check the path`, place);
    case "ENAMETOOLONG":
    case "ELOOP":
    case "ENOTDIR":
      return new DoremiError(
        "missing-input",
        "missing-file",
        `${who.slice(0, 200)}: names no file (${error.code}); check the path`,
        place,
      );
    case "EACCES":
    case "EPERM":
      return new DoremiError(
        "cannot-write",
        "no-permission",
        `${who}: permission denied; check its owner and mode`,
        place,
      );
    case "EROFS":
      return new DoremiError(
        "cannot-write",
        "read-only",
        `${who}: the file system is read-only; choose another --output`,
        place,
      );
    case "ENOSPC":
    case "EDQUOT":
      return new DoremiError(
        "cannot-write",
        "disk-full",
        `${who}: no space left on the device; free some and run the same command again, it goes on from here`,
        place,
      );
    case "EMFILE":
      return new DoremiError("cannot-write", "too-many-files", "too many open files; raise `ulimit -n`", place);
    default:
      return undefined;
  }
}
