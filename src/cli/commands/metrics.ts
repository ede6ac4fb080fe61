/** `doremi metrics`: the figures of a run's trainings for other tools. */
import { Command, Option } from "commander";
import { formatInteger } from "../numbers.ts";
import { addCommonOptions, addExample } from "../options.ts";
import { shownPath } from "../paths.ts";
import { type CommonOptions, Session, type SetStatus } from "../session.ts";

interface MetricsCommandOptions extends CommonOptions {
  readonly format: "jsonl" | "csv" | "tensorboard";
  readonly output?: string;
}

export function metricsCommand(setStatus: SetStatus): Command {
  const command = new Command("metrics")
    .description(
      "Write the figures of a run's finished trainings, step by step and by domain: a figure a line as JSON Lines or CSV, " +
        "or event files for TensorBoard, a folder for each model.",
    )
    .argument("<run>", "the output folder of a run")
    .addOption(
      new Option("--format <format>", "of what is written").choices(["jsonl", "csv", "tensorboard"]).default("jsonl"),
    )
    .option(
      "-o, --output <path>",
      "file, or TensorBoard's folder (default: metrics.jsonl, metrics.csv, tensorboard in the run)",
    );
  addCommonOptions(command);
  addExample(
    command,
    "doremi metrics runs/quickstart --format csv",
    "doremi metrics runs/quickstart --format tensorboard && tensorboard --logdir runs/quickstart/tensorboard",
  );
  return command.action(async (run: string, { format, output, ...options }: MetricsCommandOptions) => {
    const session = new Session("metrics", options, "text");
    const status = await session.finish(async () => {
      const { writeMetrics } = await import("../../report/metrics.ts");
      const { path, trainings } = await writeMetrics(run, format, output);
      session.summarise([
        ...trainings.map(({ stage, steps }) => `${stage}  ${formatInteger(steps)} steps`),
        `metrics  ${shownPath(path)}`,
      ]);
      return { result: { path, trainings } };
    });
    setStatus(status);
  });
}
