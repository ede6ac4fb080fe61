/** `doremi replay`: what other objectives make of the losses that a proxy's training recorded. */
import { Command } from "commander";
import { addCommonOptions, addExample } from "../options.ts";
import { type CommonOptions, Session, type SetStatus } from "../session.ts";

interface ReplayCommandOptions extends CommonOptions {
  readonly objective?: readonly string[];
  readonly start?: string;
  readonly out?: string;
  readonly trajectory?: string;
}

export function replayCommand(setStatus: SetStatus): Command {
  const command = new Command("replay")
    .description(
      "Compute the domain weights again from the losses that a proxy's training recorded, for any objective and settings, " +
        "beside the run's own. Nothing is trained: the losses stay those of the proxy that the run trained.",
    )
    .argument("<recording>", "a trace.arrow, a trajectory.arrow, or the folder of a run or a proxy")
    .option(
      "--objective <name,setting=value,...>",
      "what train.proxy.objective takes, such as doremi,preset=official or group-dro,stepSize=0.05; may be given repeatedly",
      (text: string, others: readonly string[] = []) => [...others, text],
    )
    .option("--start <weights>", "before the first step: uniform, reference, or a file (default: the run's)")
    .option("--out <file>", "write the weights of the one objective, as resample.weights takes them")
    .option("--trajectory <file>", "write the weights over the steps as CSV");
  addCommonOptions(command);
  addExample(
    command,
    "doremi replay runs/mine --objective doremi,preset=official --objective doremi,eta=0.1",
    "doremi replay runs/mine/proxy/trace.arrow --objective chi-square,size=1,over=sequences --out weights.json",
  );
  return command.action(async (path: string, options: ReplayCommandOptions) => {
    const session = new Session("replay", options, "text");
    const status = await session.finish(async () => {
      const { replay } = await import("../replaying.ts");
      const { objective = [], ...others } = options;
      const { result, lines } = await replay(path, { objective, ...others }, session.signal);
      session.summarise(lines);
      return { result };
    });
    setStatus(status);
  });
}
