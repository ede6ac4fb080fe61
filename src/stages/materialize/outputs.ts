/** The formats that a manifest's documents can be written in, by name; each is loaded when it is asked for. */
import { DoremiError } from "../../lib/errors.ts";
import type { OutputFormatName } from "../../manifest/materialized.ts";
import type { OutputFormat } from "./output-format.ts";

const FORMATS: Partial<Record<OutputFormatName, () => Promise<OutputFormat>>> = {
  megatron: async () => (await import("./outputs/megatron.ts")).megatron,
};

/** @throws DoremiError unknown-format */
export async function outputFormat(name: OutputFormatName): Promise<OutputFormat> {
  const load = FORMATS[name];
  if (load !== undefined) return load();
  throw new DoremiError(
    "usage",
    "unknown-format",
    `output format ${JSON.stringify(name)}: must be one of ${Object.keys(FORMATS).join(", ")}`,
  );
}
