/** The formats that a manifest's documents can be written in, by name. */
import { DoremiError } from "../../lib/errors.ts";
import type { OutputFormatName } from "../../manifest/materialized.ts";
import type { OutputFormat } from "./output-format.ts";
import { jsonl } from "./outputs/jsonl.ts";
import { megatron } from "./outputs/megatron.ts";
import { npy } from "./outputs/npy.ts";

const FORMATS: Partial<Record<OutputFormatName, OutputFormat>> = { megatron, npy, jsonl };

/** @throws DoremiError unknown-format */
export function outputFormat(name: OutputFormatName): OutputFormat {
  const format = FORMATS[name];
  if (format !== undefined) return format;
  throw new DoremiError(
    "usage",
    "unknown-format",
    `output format ${JSON.stringify(name)}: must be one of ${Object.keys(FORMATS).join(", ")}`,
  );
}
