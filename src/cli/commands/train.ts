/** `doremi train`: the pipeline up to the proxy, whose averaged domain weights are the result. */
import { Command } from "commander";
import { addExample, addTrainingOptions, openPipeline, type TrainingOptions } from "../options.ts";
import { Session, type SetStatus } from "../session.ts";

export function trainCommand(setStatus: SetStatus): Command {
  const command = new Command("train")
    .description(
      "Learn the domain weights: count, tokenize, train the reference and the proxy. No manifest is written.",
    )
    .argument("<pipeline.yaml>", "the pipeline file");
  addTrainingOptions(command);
  addExample(command, "doremi train pipelines/quickstart.yaml");
  return command.action(async (path: string, options: TrainingOptions) => {
    const session = new Session("train", options);
    const status = await session.finish(async () => {
      const pipeline = await openPipeline(path, options);
      const { runAndSummarise } = await import("../running.ts");
      return { result: await runAndSummarise(session, pipeline, "proxy", options) };
    });
    setStatus(status);
  });
}
