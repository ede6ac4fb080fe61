/** `doremi export`: a manifest as the configuration of the stack that trains, in the unit that the stack samples in. */
import { Command } from "commander";
import { addCommonOptions, addExample, positiveInteger } from "../options.ts";
import { type CommonOptions, Session, type SetStatus } from "../session.ts";
import { printable } from "../table.ts";

interface ExportCommandOptions extends CommonOptions {
  readonly list?: boolean;
  readonly output?: string;
  readonly data?: string;
  readonly sequenceLength?: number;
  readonly leaveOut?: readonly string[];
  readonly root?: string;
}

export function exportCommand(setStatus: SetStatus): Command {
  const command = new Command("export")
    .description(
      "Write a manifest's mixture as the configuration of a training stack, in the unit that the stack samples in, or as " +
        "lineage. Refuses what the stack would misread.",
    )
    .argument("[stack]", "which one; --list shows them all")
    .argument("[manifest.json]", "the manifest, or the output folder of the run that wrote it")
    .option("--list", "show the stacks, what each samples in, and what it reads")
    .option("-o, --output <folder>", "folder of the files")
    .option("--data <folder>", "the documents in the stack's format, as `doremi materialize` wrote them")
    .option("--sequence-length <tokens>", "of a training sequence, for stacks that ask", positiveInteger)
    .option("--leave-out <domain...>", "domains of weight zero, where the stack refuses them")
    .option("--root <folder>", "folder that the manifest's paths start from, if the files were moved");
  addCommonOptions(command);
  addExample(
    command,
    "doremi export --list",
    "doremi export datasets runs/quickstart --output mixture",
    "doremi export megatron manifest.json --data megatron/ --output megatron/ --sequence-length 4096",
  );
  return command.action(async (stack: string | undefined, path: string | undefined, options: ExportCommandOptions) => {
    const session = new Session("export", options, options.list ? "text" : undefined);
    const status = await session.finish(async () => {
      const { list, exported } = await import("../exporting.ts");
      const { result, lines, summary } = options.list ? list() : await exported(stack, path, options);
      session.summarise(lines.map(printable), summary);
      return { result };
    });
    setStatus(status);
  });
}
