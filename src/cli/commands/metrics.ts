/** `doremi metrics`: the figures of a run's trainings for other tools. */
import { join } from "node:path";
import { Command, Option } from "commander";
import { DoremiError } from "../../lib/errors.ts";
import { formatInteger } from "../numbers.ts";
import { addCommonOptions, addExample } from "../options.ts";
import { quotedPath, shownPath } from "../paths.ts";
import { type CommonOptions, Session, type SetStatus } from "../session.ts";

interface MetricsCommandOptions extends CommonOptions {
  readonly format: "jsonl" | "csv" | "tensorboard";
  readonly output?: string;
  readonly follow?: boolean;
}

export function metricsCommand(setStatus: SetStatus): Command {
  const command = new Command("metrics")
    .description(
      "Write the figures of a run's trainings, step by step and by domain, as far as they are by now: a figure a line as " +
        "JSON Lines or CSV, or event files for TensorBoard, a folder for each model.",
    )
    .argument("<run>", "the output folder of a run")
    .addOption(
      new Option("--format <format>", "of what is written").choices(["jsonl", "csv", "tensorboard"]).default("jsonl"),
    )
    .option(
      "-o, --output <path>",
      "file, or TensorBoard's folder (default: metrics.jsonl, metrics.csv, tensorboard in the run)",
    )
    .option("--follow", "with TensorBoard's files: write on until the run, of whatever process, is over");
  addCommonOptions(command);
  addExample(
    command,
    "doremi metrics runs/quickstart --format csv",
    "doremi metrics runs/quickstart --format tensorboard && tensorboard --logdir runs/quickstart/tensorboard",
    "doremi metrics runs/mine --format tensorboard --follow --output logs/mine",
  );
  return command.action(async (run: string, { format, output, follow, ...options }: MetricsCommandOptions) => {
    const session = new Session("metrics", options, "text");
    const status = await session.finish(async () => {
      const [{ checkRunFolder }, { noTrainings, writeMetrics }] = await Promise.all([
        import("../../report/data/read.ts"),
        import("../../report/metrics.ts"),
      ]);
      if (follow && format !== "tensorboard") {
        throw new DoremiError(
          "usage",
          "not-followed",
          `--follow: needs --format tensorboard, got ${format}: files of text are written whole, as the run is now`,
        );
      }
      await checkRunFolder(run);
      if (format !== "tensorboard") {
        const { path, trainings } = await writeMetrics(run, format, output);
        session.summarise([...trainings.map(trainingLine), `metrics  ${shownPath(path)}`]);
        return { result: { path, trainings } };
      }
      const { writeTensorboard } = await import("../tensorboarding.ts");
      const path = output ?? join(run, "tensorboard");
      if (follow) session.summarise([`Following ${shownPath(run)}: tensorboard --logdir ${quotedPath(path)}`]);
      const { signal } = session;
      const trainings = await writeTensorboard(run, path, { follow: follow === true, signal });
      signal.throwIfAborted();
      if (trainings.length === 0) throw noTrainings(run);
      session.summarise([...trainings.map(trainingLine), `metrics  ${shownPath(path)}`]);
      return { result: { path, trainings } };
    });
    setStatus(status);
  });
}

function trainingLine({ stage, steps, finished }: { stage: string; steps: number; finished: boolean }): string {
  return `${stage}  ${formatInteger(steps)} steps${finished ? "" : " so far"}`;
}
