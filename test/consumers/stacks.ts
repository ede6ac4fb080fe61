/**
 * The training stacks whose own code reads what doremi writes: which script in this folder, in which environment of
 * scripts/consumers-venv.mjs, and what it is given. A stack's package and version stand in the environment's list.
 */
import type { OutputFormatName } from "../../src/manifest/materialized.ts";

/** light: installs in under a minute, in CI; the others on request */
export type Environment = "light" | "torch" | "levanter" | "nanotron";

/** Reads a materialized set; its hash is over what the documents hold there. */
export interface SetReader {
  readonly script: string;
  readonly environment: Environment;
  readonly format: OutputFormatName;
  readonly hashes: "texts" | "ids";
}

export const SET_READERS: readonly SetReader[] = [
  { script: "datasets.py", environment: "light", format: "parquet", hashes: "texts" },
  { script: "arrow.py", environment: "light", format: "arrow", hashes: "texts" },
  { script: "jsonl.py", environment: "light", format: "jsonl", hashes: "texts" },
  { script: "datatrove.py", environment: "light", format: "datatrove", hashes: "ids" },
  { script: "megatron.py", environment: "torch", format: "megatron", hashes: "ids" },
  { script: "npy.py", environment: "torch", format: "npy", hashes: "ids" },
  { script: "streaming.py", environment: "torch", format: "mds", hashes: "ids" },
  { script: "litdata.py", environment: "torch", format: "litdata", hashes: "ids" },
];

/** Parses an exported configuration. */
export interface ExportReader {
  readonly script: string;
  readonly environment: Environment;
  readonly stack: string;
  /** of the materialized set, a folder for each domain; null: the manifest's own files */
  readonly format: OutputFormatName | null;
  /** the export is written around the set, where it describes the documents too */
  readonly around?: true;
  /** what the stack's weights are shares of */
  readonly unit: "tokens" | "sequences" | "documents";
  /** what makes a share: sequences are cut from ids, which have a separator behind each document beside its tokens */
  readonly shareOf: "tokens" | "ids" | "documents";
}

export const EXPORT_READERS: readonly ExportReader[] = [
  { script: "croissant.py", environment: "light", stack: "croissant", format: null, unit: "tokens", shareOf: "tokens" },
  {
    script: "croissant.py",
    environment: "light",
    stack: "croissant",
    format: "parquet",
    around: true,
    unit: "tokens",
    shareOf: "tokens",
  },
  {
    script: "openlineage.py",
    environment: "light",
    stack: "openlineage",
    format: null,
    unit: "tokens",
    shareOf: "tokens",
  },
  {
    script: "export_datasets.py",
    environment: "light",
    stack: "datasets",
    format: "jsonl",
    unit: "documents",
    shareOf: "documents",
  },
  { script: "nemo.py", environment: "torch", stack: "megatron", format: "megatron", unit: "sequences", shareOf: "ids" },
  { script: "nemo.py", environment: "torch", stack: "nemo", format: "megatron", unit: "sequences", shareOf: "ids" },
  { script: "olmo_core.py", environment: "torch", stack: "olmo-core", format: "npy", unit: "tokens", shareOf: "ids" },
  {
    script: "export_streaming.py",
    environment: "torch",
    stack: "streaming",
    format: "mds",
    unit: "documents",
    shareOf: "documents",
  },
  {
    script: "torchtitan.py",
    environment: "torch",
    stack: "torchtitan",
    format: "jsonl",
    unit: "sequences",
    shareOf: "ids",
  },
  { script: "litgpt.py", environment: "torch", stack: "litgpt", format: "litdata", unit: "sequences", shareOf: "ids" },
  {
    script: "nanotron.py",
    environment: "nanotron",
    stack: "nanotron",
    format: "datatrove",
    unit: "sequences",
    shareOf: "ids",
  },
  {
    script: "levanter.py",
    environment: "levanter",
    stack: "levanter",
    format: "jsonl",
    unit: "sequences",
    shareOf: "ids",
  },
];
