/**
 * Long lists as files of JSON lines, with a hash by which others refer to them: written and read a record at a time, so
 * that a list of a hundred thousand never is one string.
 */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { AtomicFile } from "./atomic-write.ts";
import { DoremiError } from "./errors.ts";
import { canonicalJson, sha256 } from "./hash.ts";

/** bytes gathered before they are written */
const CHUNK = 1 << 20;
const NEWLINE = 10;

/** Appends records to a file that appears under its name when it is committed. */
export class JsonLinesFile {
  readonly #file: AtomicFile;
  readonly #hash = createHash("sha256");
  #pending: Buffer[] = [];
  #pendingBytes = 0;

  private constructor(file: AtomicFile) {
    this.#file = file;
  }

  static async create(path: string): Promise<JsonLinesFile> {
    return new JsonLinesFile(await AtomicFile.create(path));
  }

  async add(record: unknown): Promise<void> {
    const line = lineOf(record);
    this.#hash.update(line);
    this.#pending.push(line);
    this.#pendingBytes += line.length;
    if (this.#pendingBytes >= CHUNK) await this.#flush();
  }

  /** @returns sha256 of the file */
  async commit(): Promise<string> {
    await this.#flush();
    await this.#file.commit();
    return this.#hash.digest("hex");
  }

  async discard(): Promise<void> {
    await this.#file.discard();
  }

  async #flush(): Promise<void> {
    const data = Buffer.concat(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
    if (data.length > 0) await this.#file.write(data);
  }
}

/** @returns sha256 of the file */
export async function writeJsonLines(path: string, records: Iterable<unknown>): Promise<string> {
  const file = await JsonLinesFile.create(path);
  try {
    for (const record of records) await file.add(record);
    return await file.commit();
  } catch (error) {
    await file.discard();
    throw error;
  }
}

/** The hash that a file of these records would have. */
export function hashJsonLines(records: Iterable<unknown>): string {
  const hash = createHash("sha256");
  for (const record of records) hash.update(lineOf(record));
  return hash.digest("hex");
}

/**
 * The records of a file that this program wrote.
 * @param hash what the file must hash to: then its records are what was written, and are not checked again
 * @throws DoremiError corrupt-file
 */
export async function readJsonLines<T>(path: string, hash: string): Promise<T[]> {
  const data = await readFile(path);
  if (sha256(data) !== hash) {
    throw new DoremiError(
      "bad-data",
      "corrupt-file",
      `${path}: is not the file that the run wrote (its SHA-256 differs); delete its folder and run again`,
      { file: path },
    );
  }
  return [...recordsOf<T>(data)];
}

/** Records of a file that may be torn or somebody else's: a line that is not JSON ends them. */
export function* recordsOf<T>(data: Buffer): Generator<T> {
  for (let at = 0; at < data.length; ) {
    const end = data.indexOf(NEWLINE, at);
    const line = data.toString("utf8", at, end < 0 ? data.length : end);
    let record: T;
    try {
      record = JSON.parse(line) as T;
    } catch {
      return;
    }
    yield record;
    at = end < 0 ? data.length : end + 1;
  }
}

function lineOf(record: unknown): Buffer {
  return Buffer.from(`${canonicalJson(record)}\n`);
}
