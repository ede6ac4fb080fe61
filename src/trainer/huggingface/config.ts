/** Reading values out of a model's config.json, which people edit and tools write in several versions. */
import { DoremiError } from "../../lib/errors.ts";

/** What a format of ../model-folder.ts knows of its architecture. */
export interface ConfigFile {
  readonly path: string;
  readonly values: Readonly<Record<string, unknown>>;
}

export function parseConfigFile(path: string, text: string): ConfigFile {
  let values: unknown;
  try {
    values = JSON.parse(text);
  } catch (error) {
    throw refuseModel(path, `must be JSON: ${(error as Error).message}`);
  }
  if (values === null || typeof values !== "object" || Array.isArray(values))
    throw refuseModel(path, "must be a JSON object");
  return { path, values: values as Record<string, unknown> };
}

/** @param fallback of a key that is absent or null */
export function sizeOf({ path, values }: ConfigFile, key: string, fallback?: number): number {
  const value = values[key] ?? fallback;
  if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 1)
    throw refuseModel(path, `${key} must be an integer ≥ 1, found ${JSON.stringify(value)}`);
  return value;
}

export function positiveOf({ path, values }: ConfigFile, key: string, fallback?: number): number {
  const value = values[key] ?? fallback;
  if (typeof value !== "number" || !Number.isFinite(value) || value <= 0)
    throw refuseModel(path, `${key} must be a number > 0, found ${JSON.stringify(value)}`);
  return value;
}

/** @param choices written in the file → meant here @param fallback of a key that is absent or null, as written */
export function choiceOf<T>(
  { path, values }: ConfigFile,
  key: string,
  choices: ReadonlyMap<unknown, T>,
  fallback: unknown,
): T {
  const value = values[key] ?? fallback;
  if (choices.has(value)) return choices.get(value)!;
  const known = [...choices.keys()].map((choice) => JSON.stringify(choice)).join(" or ");
  throw refuseModel(path, `${key} must be ${known}, found ${JSON.stringify(value)}; no other is computed here`);
}

export const BOOLEAN: ReadonlyMap<unknown, boolean> = new Map([
  [true, true],
  [false, false],
]);

/** Values that the mathematics here is fixed to; null and absent mean transformers' default, which is the same. */
export function requireFixed(file: ConfigFile, fixed: Readonly<Record<string, unknown>>): void {
  for (const [key, value] of Object.entries(fixed)) choiceOf(file, key, new Map([[value, value]]), value);
}

export function refuseModel(path: string, what: string): DoremiError {
  return new DoremiError("bad-data", "model-folder", `${path}: ${what}`, { file: path });
}
