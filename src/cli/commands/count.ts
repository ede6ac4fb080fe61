/**
 * `doremi count`: tokens per domain, of a pipeline file's data or of any files. Without a pipeline file it works in a
 * folder that is gone afterwards, unless --output keeps it.
 */
import { rmSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import type { BadDocumentPolicy } from "../../formats/shard.ts";
import { DoremiError } from "../../lib/errors.ts";
import type { Pipeline } from "../../pipeline/load.ts";
import type { SpecialTokens } from "../../tokenizer/tokenizer.ts";
import {
  addExample,
  addRunningOptions,
  fractionOfAll,
  openPipeline,
  overriddenSettings,
  parseShare,
  type RunningOptions,
} from "../options.ts";
import { Session, type SetStatus } from "../session.ts";
import { numShards, partOf, type ShardingOptions, shardIndex } from "../sharding.ts";

interface CountOptions extends RunningOptions, ShardingOptions {
  readonly data?: readonly string[];
  readonly tokenizer?: readonly string[];
  readonly specialTokens?: SpecialTokens;
  readonly textColumn?: string;
  readonly domainColumn?: string;
  readonly domainMap?: readonly string[];
  readonly unlisted?: string;
  readonly onBadDocument?: BadDocumentPolicy;
  readonly onBadShard?: "fail" | "skip";
  readonly maxSkipped?: number;
  readonly sample?: number;
}

/** Name of the one domain of data that has no domains. */
const ALL = "all";

export function countCommand(setStatus: SetStatus): Command {
  const command = new Command("count")
    .description("Count documents, bytes and tokens per domain, of a pipeline file's data or of the files of --data.")
    .argument("[pipeline.yaml]", "the pipeline file")
    .option("--data <pattern...>", "files or globs; {domain} stands for the part of the path that names the domain")
    .option(
      "--tokenizer <name|file...>",
      "r50k (or gpt2), p50k, cl100k, o200k, each also with _base, or a tokenizer.json; may be several",
    )
    .addOption(
      new Option("--special-tokens <text|parse>", "what text of special tokens is (default: text)").choices([
        "text",
        "parse",
      ]),
    )
    .option("--text-column <path>", "column of the text (default: text); dots go into structs", nonEmpty)
    .option("--domain-column <path>", "column that names each document's domain", nonEmpty)
    .option("--domain-map <value=domain...>", "domain of a value of that column, where it is not the value itself")
    .option("--unlisted <fail|drop|domain>", "documents without a listed domain: stop, leave out, or this domain")
    .addOption(
      new Option("--on-bad-document <policy>", "text that is not UTF-8, lines without a text").choices([
        "fail",
        "skip",
        "replace",
      ] satisfies BadDocumentPolicy[]),
    )
    .addOption(new Option("--on-bad-shard <policy>", "files that cannot be read").choices(["fail", "skip"]))
    .option("--max-skipped <share>", "most of a domain that may be left out as bad (default: 1%)", share)
    .option("--sample <part>", "estimate from a random part of the row groups, with 95 % intervals", fractionOfAll)
    .option(
      "--shard-index <i>",
      "count a part of the shards only: the i-th, from 0 (default: the array task)",
      shardIndex,
    )
    .option("--num-shards <n|auto>", "of so many parts, for doremi merge; auto: of the Slurm array", numShards);
  addRunningOptions(command);
  addExample(
    command,
    "doremi count pipelines/quickstart.yaml",
    "doremi count --data 'corpus/{domain}/*.parquet' --tokenizer r50k tokenizer.json",
    "doremi count --data 'pile/*.zst' --tokenizer r50k --domain-column meta.pile_set_name \\",
    "    --domain-map Pile-CC=web OpenWebText2=web Github=code --unlisted other",
    "doremi count --data 'corpus/{domain}/*.parquet' --tokenizer r50k cl100k --sample 1%",
    "doremi count mine.yaml --max-memory 2GB --cache /scratch/counts",
    "sbatch --array=0-7 --wrap 'doremi count mine.yaml --num-shards 8'   # then: doremi merge",
  );
  return command.action(async (path: string | undefined, options: CountOptions) => {
    const session = new Session("count", options);
    const status = await session.finish(async () => {
      checkUsage(path, options);
      const part = partOf(options, process.env);
      if (part) checkPart(path, options);
      const run = async (pipeline: Pipeline) => {
        const { runCount, runPart } = await import("../counting.ts");
        if (part) return { result: await runPart(session, pipeline, part) };
        return { result: await runCount(session, pipeline, options.sample) };
      };
      if (path !== undefined) return run(await openPipeline(path, options));
      return withOutputFolder(options.output, async (output) => run(await pipelineOfData(options, output)));
    });
    setStatus(status);
  });
}

function checkUsage(path: string | undefined, options: CountOptions): void {
  const { data, tokenizer, specialTokens, textColumn, domainColumn, domainMap, unlisted } = options;
  const usage = (message: string) => new DoremiError("usage", "count-arguments", message);
  if (path === undefined) {
    if (data === undefined) throw usage("needs a pipeline file, or --data with --tokenizer; see doremi count --help");
    if (tokenizer === undefined) throw usage("--data needs --tokenizer: r50k, p50k, cl100k, o200k or a tokenizer.json");
    return;
  }
  const given = {
    "--data": data,
    "--tokenizer": tokenizer,
    "--special-tokens": specialTokens,
    "--text-column": textColumn,
    "--domain-column": domainColumn,
    "--domain-map": domainMap,
    "--unlisted": unlisted,
    "--on-bad-document": options.onBadDocument,
    "--on-bad-shard": options.onBadShard,
    "--max-skipped": options.maxSkipped,
  };
  const option = Object.entries(given).find(([, value]) => value !== undefined)?.[0];
  if (option !== undefined) {
    throw usage(
      `${option} is for counting without a pipeline file, and ${path} is given: it says what to count and how`,
    );
  }
}

function checkPart(path: string | undefined, { sample, output }: CountOptions): void {
  if (sample !== undefined) {
    throw new DoremiError(
      "usage",
      "count-arguments",
      "--sample: an estimate is made in one piece; leave out --num-shards",
    );
  }
  if (path === undefined && output === undefined) {
    throw new DoremiError(
      "usage",
      "count-arguments",
      "--num-shards needs --output where no pipeline file says it: the folder that all parts go into",
    );
  }
}

/** A pipeline that only counts; patterns and files are relative to the current folder. */
export async function pipelineOfData(options: CountOptions, output: string): Promise<Pipeline> {
  const { data = [], tokenizer = [], specialTokens, textColumn, domainColumn, domainMap, unlisted } = options;
  const [first, ...others] = tokenizer;
  const named = data.filter((pattern) => pattern.includes("{domain}"));
  if (domainColumn === undefined && named.length > 0 && named.length < data.length) {
    const without = data.find((pattern) => !named.includes(pattern));
    throw new DoremiError(
      "usage",
      "count-arguments",
      `--data ${without}: other patterns have {domain} and this one has not; give it one, or --domain-column`,
    );
  }
  const { definePipeline } = await import("../../pipeline/load.ts");
  return definePipeline(
    {
      version: 1,
      name: "count",
      output,
      tokenizer: first!,
      count: { tokenizers: others },
      ...(specialTokens !== undefined && { specialTokens }),
      // A folder that is gone afterwards is no place to keep counts beside.
      ...(options.output === undefined && { cache: false }),
      ...overriddenSettings(options),
      data: {
        ...(domainColumn === undefined && named.length === 0
          ? { domains: { [ALL]: [...data] } }
          : { files: [...data] }),
        ...(textColumn !== undefined && { textColumn }),
        ...(domainColumn !== undefined && { domainColumn }),
        ...(domainMap !== undefined && { domainMap: mapOf(domainMap) }),
        ...(unlisted !== undefined && {
          onUnlistedDomain: unlisted === "fail" || unlisted === "drop" ? unlisted : { domain: unlisted },
        }),
        ...(options.onBadDocument !== undefined && { onBadDocument: options.onBadDocument }),
        ...(options.onBadShard !== undefined && { onBadShard: options.onBadShard }),
        ...(options.maxSkipped !== undefined && { maxSkipped: options.maxSkipped }),
        heldOut: "none",
      },
    },
    { base: process.cwd(), output, ...(options.workDir !== undefined && { workDir: options.workDir }) },
  );
}

/** Pile-CC=web → { "Pile-CC": "web" }; the value may hold = itself. */
function mapOf(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map((pair) => {
      const at = pair.lastIndexOf("=");
      if (at > 0 && at < pair.length - 1) return [pair.slice(0, at), pair.slice(at + 1)];
      throw new DoremiError(
        "usage",
        "count-arguments",
        `--domain-map ${pair}: must be value=domain, such as Pile-CC=web`,
      );
    }),
  );
}

/** The folder given, or one that is removed afterwards, also when a second signal ends the program at once. */
async function withOutputFolder<T>(output: string | undefined, work: (folder: string) => Promise<T>): Promise<T> {
  if (output !== undefined) return work(output);
  const folder = await mkdtemp(join(tmpdir(), "doremi-count-"));
  const remove = () => rmSync(folder, { recursive: true, force: true });
  process.once("exit", remove);
  try {
    return await work(folder);
  } finally {
    process.off("exit", remove);
    remove();
  }
}

function share(text: string): number {
  const value = parseShare(text);
  if (Number.isNaN(value)) throw new InvalidArgumentError("It must be a share from 0 to 1, such as 2% or 0.02.");
  return value;
}

function nonEmpty(text: string): string {
  if (text === "") throw new InvalidArgumentError("It must name a column.");
  return text;
}
