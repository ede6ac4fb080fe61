/** `doremi plan`: what a run would do and how long it may take. Does none of it and writes nothing. */
import { Command, Option } from "commander";
import { EXIT_STATUS } from "../../lib/errors.ts";
import { addExample, addRunningOptions, openPipeline, type RunningOptions, STAGES } from "../options.ts";
import { Session, type SetStatus } from "../session.ts";

interface PlanOptions extends RunningOptions {
  readonly until?: (typeof STAGES)[number];
  readonly json?: boolean;
}

export function planCommand(setStatus: SetStatus): Command {
  const command = new Command("plan")
    .description(
      "Say what a run would do: files found and missing, stages to do and why, tokens, time. Changes nothing. " +
        "Where anything is missing that a run could not begin without, the status is a run's, 66.",
    )
    .argument("<pipeline.yaml>", "the pipeline file")
    .option("--json", "only the JSON line on stdout, no text")
    .addOption(new Option("--until <stage>", "last stage to plan").choices(STAGES));
  addRunningOptions(command);
  addExample(command, "doremi plan pipelines/pile.yaml", "doremi plan pipelines/pile.yaml --json | jq .missing");
  return command.action(async (path: string, options: PlanOptions) => {
    const session = new Session("plan", options.json ? { ...options, logFormat: "json" } : options, "text");
    const status = await session.finish(async () => {
      const pipeline = await openPipeline(path, options);
      const { planPipeline } = await import("../../pipeline/plan.ts");
      const { planLines } = await import("../plan-text.ts");
      const plan = await planPipeline(pipeline, options.until);
      session.summarise(planLines(plan));
      return { result: plan, ...(plan.missing.length > 0 && { status: EXIT_STATUS["missing-input"] }) };
    });
    setStatus(status);
  });
}
