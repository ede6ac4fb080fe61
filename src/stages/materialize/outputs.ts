/** The formats that a manifest's documents can be written in, by name. */
import type { OutputFormatName } from "../../manifest/materialized.ts";
import type { OutputFormat } from "./output-format.ts";
import { arrow } from "./outputs/arrow.ts";
import { datatrove } from "./outputs/datatrove.ts";
import { jsonl } from "./outputs/jsonl.ts";
import { litdata } from "./outputs/litdata.ts";
import { mds } from "./outputs/mds.ts";
import { megatron } from "./outputs/megatron.ts";
import { npy } from "./outputs/npy.ts";
import { parquet } from "./outputs/parquet.ts";

const FORMATS: Readonly<Record<OutputFormatName, OutputFormat>> = {
  megatron,
  npy,
  datatrove,
  mds,
  litdata,
  parquet,
  arrow,
  jsonl,
};

export function outputFormat(name: OutputFormatName): OutputFormat {
  return FORMATS[name];
}
