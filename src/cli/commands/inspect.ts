/** `doremi inspect`: any of the program's files, and any shard, as a person wants to see it. */
import { Command } from "commander";
import { addCommonOptions, addExample } from "../options.ts";
import { type CommonOptions, Session, type SetStatus } from "../session.ts";

export function inspectCommand(setStatus: SetStatus): Command {
  const command = new Command("inspect")
    .description(
      "Show a file: a manifest, a selection, counts, weights, a trajectory, a trace, a token store, a model, a checkpoint, a stage's " +
        "folder, or a shard. It is recognised by its content.",
    )
    .argument("<file>", "the file, or the folder of a model, a checkpoint, a stage or a run");
  addCommonOptions(command);
  addExample(
    command,
    "doremi inspect corpus/books/part-00000.parquet",
    "doremi inspect runs/mine/proxy/trajectory.arrow",
  );
  return command.action(async (path: string, options: CommonOptions) => {
    const session = new Session("inspect", options, "text");
    const status = await session.finish(async () => {
      const { inspectPath } = await import("../inspect/recognise.ts");
      const { kind, facts, lines } = await inspectPath(path);
      session.summarise([`${path}: ${kind}`, "", ...lines]);
      return { result: { file: path, kind, ...facts } };
    });
    setStatus(status);
  });
}
