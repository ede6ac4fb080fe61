/** `doremi materialize`: the documents of a manifest, written in its order in a trainer's own format. */
import { Command, InvalidArgumentError, Option } from "commander";
import { parseBytes } from "../../lib/byte-size.ts";
import type { Compression, OutputFormatName } from "../../manifest/materialized.ts";
import { formatBytes, formatInteger, plural } from "../numbers.ts";
import { addCommonOptions, addExample, byteSize, positiveInteger } from "../options.ts";
import { manifestPath } from "../paths.ts";
import { type CommonOptions, Session, type SetStatus } from "../session.ts";
import { printable } from "../table.ts";

// Spelt out, so that no command waits for what checks a set's record; the compiler knows when one is missing.
const OUTPUTS: Readonly<Record<OutputFormatName, true>> = {
  megatron: true,
  npy: true,
  datatrove: true,
  mds: true,
  litdata: true,
  parquet: true,
  arrow: true,
  jsonl: true,
};
const COMPRESSIONS: Readonly<Record<Compression, true>> = { zstd: true, none: true };

interface MaterializeCommandOptions extends CommonOptions {
  readonly as: OutputFormatName;
  readonly output: string;
  readonly workDir?: string;
  readonly layout: "mixed" | "domain";
  readonly repeats: "written" | "once";
  readonly separator: "auto" | "none" | number;
  readonly shardSize?: string;
  readonly shardDocuments?: number;
  readonly compression?: Compression;
  readonly root?: string;
  readonly followLinks?: boolean;
  readonly workers?: number;
  readonly maxMemory?: string;
  readonly tokenizer?: string;
  readonly allowTransform?: boolean;
}

export function materializeCommand(setStatus: SetStatus): Command {
  const command = new Command("materialize")
    .description("Write the documents that a manifest selects, in its order, in the format that a trainer reads.")
    .argument("<manifest.json>", "the manifest, or the output folder of the run that wrote it")
    .addOption(new Option("--as <format>", "what to write").choices(Object.keys(OUTPUTS)).makeOptionMandatory())
    .requiredOption("-o, --output <folder>", "folder or URI of the set; empty, or left by an interrupted run")
    .option("--work-dir <folder>", "where to work when the set goes to a URI (default: in the user's cache)")
    .addOption(
      new Option("--layout <layout>", "all domains in the manifest's order, or a folder for each domain")
        .choices(["mixed", "domain"])
        .default("mixed"),
    )
    .addOption(
      new Option("--repeats <repeats>", "a document as often as it is selected, or once for the trainer to repeat")
        .choices(["written", "once"])
        .default("written"),
    )
    .option(
      "--separator <id>",
      "id behind every document: auto (the tokenizer's end of text), none, or an id",
      separator,
      "auto",
    )
    .option(
      "--shard-size <size>",
      "of a file before compression, about (default: 512MiB, or what the format can hold)",
      byteSize,
    )
    .option("--shard-documents <n>", "documents of a file, in place of a size", positiveInteger)
    .addOption(new Option("--compression <name>", "of jsonl (default: zstd)").choices(Object.keys(COMPRESSIONS)))
    .option("--root <folder>", "folder that the manifest's paths start from, if the files were moved")
    .option("-w, --workers <n>", "worker threads (default: all cores)", positiveInteger)
    .option("--max-memory <size>", "of the documents in flight (default: 512MiB)", byteSize)
    .option("--tokenizer <file>", "tokenizer.json, if the manifest was moved away from its own")
    .option("--follow-links", "allow symbolic links that lead out of the root")
    .option("--allow-transform", "run the transform module that the manifest names, which is code");
  addCommonOptions(command);
  addExample(
    command,
    "doremi materialize runs/quickstart --as megatron -o megatron",
    "doremi materialize manifest.json --as jsonl --layout domain --shard-size 256MB -o texts",
  );
  return command.action(async (given: string, options: MaterializeCommandOptions) => {
    const session = new Session("materialize", options);
    const status = await session.finish(async () => {
      const path = await manifestPath(given);
      const { materialize } = await import("../../pipeline/materialize.ts");
      const { output, layout, repeats, root, followLinks, workers, tokenizer, allowTransform, compression } = options;
      const result = await materialize(path, {
        format: options.as,
        output,
        ...(options.workDir !== undefined && { workDir: options.workDir }),
        layout,
        repeats,
        separator: options.separator,
        ...(options.shardSize !== undefined && { shardBytes: parseBytes(options.shardSize) }),
        ...(options.shardDocuments !== undefined && { shardDocuments: options.shardDocuments }),
        ...(compression !== undefined && { compression }),
        ...(root !== undefined && { root }),
        ...(followLinks !== undefined && { followLinks }),
        ...(workers !== undefined && { workers }),
        ...(options.maxMemory !== undefined && { memoryBytes: parseBytes(options.maxMemory) }),
        ...(tokenizer !== undefined && { tokenizer }),
        ...(allowTransform !== undefined && { allowTransform }),
        signal: session.signal,
        onEvent: session.onEvent,
      });
      const { documents, tokens, separators, groups } = result.set;
      const shards = groups.flatMap((group) => group.shards);
      const bytes = shards.flatMap((shard) => shard.files).reduce((sum, file) => sum + file.size, 0);
      const figures = { documents, tokens, separators, shards: shards.length, bytes };
      session.summarise(
        [
          `${result.status === "unchanged" ? "unchanged" : "✓"}: ${printable(result.output)}: ${plural(documents, "document")} of ` +
            `${formatInteger(tokens)} tokens in ${plural(shards.length, "shard")}, ${formatBytes(bytes)}`,
        ],
        figures,
      );
      return { result: { status: result.status, output: result.output, format: options.as, ...figures } };
    });
    setStatus(status);
  });
}

function separator(text: string): "auto" | "none" | number {
  if (text === "auto" || text === "none") return text;
  if (/^\d{1,10}$/.test(text)) return Number(text);
  throw new InvalidArgumentError("It must be auto, none, or the id of a token.");
}
