/** `doremi run`: all stages of a pipeline file that are not done yet, to a manifest. */
import { Command, Option } from "commander";
import {
  addExample,
  addTrainingOptions,
  handedOnOptions,
  openPipeline,
  STAGES,
  type TrainingOptions,
} from "../options.ts";
import { Session, type SetStatus } from "../session.ts";

interface RunCommandOptions extends TrainingOptions {
  readonly until?: (typeof STAGES)[number];
  readonly executor?: "local";
}

export function runCommand(setStatus: SetStatus): Command {
  const command = new Command("run")
    .description(
      "Run a pipeline file: count, train the reference and the proxy, resample. What is done already is kept.",
    )
    .argument("<pipeline.yaml>", "the pipeline file")
    .addOption(new Option("--until <stage>", "last stage to run").choices(STAGES))
    .addOption(
      new Option("--executor <where>", "local: on this machine, whatever the pipeline file says").choices(["local"]),
    );
  addTrainingOptions(command);
  addExample(
    command,
    "doremi run pipelines/quickstart.yaml",
    "doremi run mine.yaml --output /data/mixture --workers 8",
    "doremi run mine.yaml --tensorboard",
  );
  return command.action(async (path: string, options: RunCommandOptions) => {
    const session = new Session("run", options);
    const status = await session.finish(async () => {
      const pipeline = await openPipeline(path, options);
      // After the pipeline file is read: it loads the whole program, and a fault in the file should show at once.
      const { runAndSummarise, runWhereAsked } = await import("../running.ts");
      const until = options.until ?? "resample";
      const { tensorboard = false } = options;
      if (options.executor === "local")
        return { result: await runAndSummarise(session, pipeline, until, { tensorboard }) };
      return {
        result: await runWhereAsked(session, pipeline, until, { tensorboard, options: handedOnOptions(options) }),
      };
    });
    setStatus(status);
  });
}
