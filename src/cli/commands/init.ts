/** `doremi init`: from a folder of shards to a pipeline file that fits it, with a reason for each setting. */
import { Command } from "commander";
import type { InitOptions } from "../init-contract.ts";
import { addCommonOptions, addExample, tokenBudget } from "../options.ts";
import { Session, type SetStatus } from "../session.ts";

export function initCommand(setStatus: SetStatus): Command {
  const command = new Command("init")
    .description(
      "Write a pipeline file for a corpus: looks at a sample of its shards, guesses domains, text column and sizes, " +
        "asks at a terminal what it cannot guess, and says why each setting is as it is.",
    )
    .argument(
      "<corpus>",
      "a folder, a file, a URI such as s3://bucket/corpus, or a pattern such as 'corpus/{domain}/*'",
    )
    .option("-o, --output <file>", "the pipeline file", "pipeline.yaml")
    .option("--text-column <path>", "column of the text; dots go into structs")
    .option("--domain-column <path>", "column that names each row's domain")
    .option(
      "--tokenizer <name>",
      "r50k (or gpt2), p50k, cl100k, o200k, each also with _base, or a tokenizer.json (default: r50k)",
    )
    .option("--budget <tokens>", "of the resampled set: a number, 300M, 1.5B or auto (default: auto)", tokenBudget)
    .option("-y, --yes", "ask nothing: take the likeliest")
    .option("--force", "write over a file that is there");
  addCommonOptions(command);
  addExample(
    command,
    "doremi init corpus",
    "doremi init s3://bucket/corpus -o mine.yaml --tokenizer cl100k --budget 20B",
    "doremi init pile.jsonl.zst --domain-column meta.pile_set_name --yes",
  );
  return command.action(async (source: string, options: InitOptions) => {
    const session = new Session("init", options, "text");
    const status = await session.finish(async () => {
      const { initialise } = await import("../initialising.ts");
      const { result, lines } = await initialise(source, options);
      session.summarise(lines);
      return { result };
    });
    setStatus(status);
  });
}
