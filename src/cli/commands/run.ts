/** `doremi run`: all stages of a pipeline file that are not done yet, to a manifest. */
import { Command, Option } from "commander";
import { addExample, addRunningOptions, openPipeline, type RunningOptions, STAGES } from "../options.ts";
import { Session, type SetStatus } from "../session.ts";

interface RunCommandOptions extends RunningOptions {
  readonly until?: (typeof STAGES)[number];
}

export function runCommand(setStatus: SetStatus): Command {
  const command = new Command("run")
    .description(
      "Run a pipeline file: count, train the reference and the proxy, resample. What is done already is kept.",
    )
    .argument("<pipeline.yaml>", "the pipeline file")
    .addOption(new Option("--until <stage>", "last stage to run").choices(STAGES));
  addRunningOptions(command);
  addExample(
    command,
    "doremi run pipelines/quickstart.yaml",
    "doremi run mine.yaml --output /data/mixture --workers 8",
  );
  return command.action(async (path: string, options: RunCommandOptions) => {
    const session = new Session("run", options);
    const status = await session.finish(async () => {
      const pipeline = await openPipeline(path, options);
      // After the pipeline file is read: it loads the whole program, and a fault in the file should show at once.
      const { runAndSummarise } = await import("../running.ts");
      return { result: await runAndSummarise(session, pipeline, options.until ?? "resample") };
    });
    setStatus(status);
  });
}
