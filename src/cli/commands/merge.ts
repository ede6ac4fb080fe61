/** `doremi merge`: the parts of a count that several machines made, put together to what one would have written. */
import { resolve } from "node:path";
import { Command } from "commander";
import { addCommonOptions, addExample } from "../options.ts";
import { type CommonOptions, Session, type SetStatus } from "../session.ts";

interface MergeOptions extends CommonOptions {
  readonly output: string;
  readonly partial?: boolean;
}

export function mergeCommand(setStatus: SetStatus): Command {
  const command = new Command("merge")
    .description("Put the parts of a divided count together: the same bytes as a count on one machine.")
    .argument("<part...>", "folders of the parts, in any order: runs/mine/parts/*-of-00008")
    .requiredOption("-o, --output <folder>", "the pipeline's output folder, or a new one")
    .option("--partial", "parts that follow each other but are not all: to a larger part");
  addCommonOptions(command);
  addExample(
    command,
    "doremi merge runs/mine/parts/*-of-00008 --output runs/mine   # of: doremi count --shard-index 0..7 --num-shards 8",
  );
  return command.action(async (paths: string[], options: MergeOptions) => {
    const session = new Session("merge", options);
    const status = await session.finish(async () => {
      const { runMerge } = await import("../counting.ts");
      const { localFolder } = await import("../../storage/location.ts");
      const parts = paths.map((path) => resolve(path));
      return { result: await runMerge(session, parts, localFolder(options.output, "merge"), options.partial === true) };
    });
    setStatus(status);
  });
}
