/**
 * What `run`, `train` and `resample` have in common: run the pipeline with a display, print the table of domains, give
 * back the result line. Loads the whole program, so commands import it only when they run.
 */
import { join } from "node:path";
import type { StageName } from "../pipeline/bindings.ts";
import { runOnCluster } from "../pipeline/executor/run.ts";
import type { Pipeline } from "../pipeline/load.ts";
import { type RunResult, runPipeline } from "../pipeline/run.ts";
import { isRemote } from "../storage/location.ts";
import { ownCommand, quotedPath, shownPath } from "./paths.ts";
import type { Session } from "./session.ts";
import { summaryEvent, summaryLines } from "./summary.ts";

/** The result line of a run, without `command`. */
export interface RunLine {
  readonly status: RunResult["status"];
  readonly output: string;
  readonly manifest?: string;
  readonly weights?: Readonly<Record<string, number>>;
  /** folder of event files */
  readonly tensorboard?: string;
}

export interface RunningChoices {
  /** write event files for TensorBoard meanwhile */
  readonly tensorboard?: boolean;
}

/** @param options for the jobs of a cluster, where the pipeline's executor is one */
export async function runWhereAsked(
  session: Session,
  pipeline: Pipeline,
  until: StageName,
  { options, ...choices }: RunningChoices & { readonly options: readonly string[] },
): Promise<RunLine> {
  const { executor } = pipeline.config;
  // Listing files is no work for a cluster.
  if (executor.name === "local" || until === "discover") return runAndSummarise(session, pipeline, until, choices);
  const { signal, onEvent } = session;
  return runWith(session, pipeline, choices, () =>
    runOnCluster(pipeline, executor, { until, options, signal, onEvent }),
  );
}

export async function runAndSummarise(
  session: Session,
  pipeline: Pipeline,
  until: StageName,
  choices: RunningChoices = {},
): Promise<RunLine> {
  const { signal, onEvent } = session;
  return runWith(session, pipeline, choices, () => runPipeline(pipeline, { until, signal, onEvent }));
}

async function runWith(
  session: Session,
  pipeline: Pipeline,
  { tensorboard }: RunningChoices,
  run: () => Promise<RunResult>,
): Promise<RunLine> {
  if (!tensorboard) return summarise(session, pipeline, await run());
  const { besideTensorboard } = await import("./tensorboarding.ts");
  const { output } = pipeline;
  const folder = join(output, "tensorboard");
  const result = await besideTensorboard({ run: output, folder, onEvent: session.onEvent }, run);
  return { ...summarise(session, pipeline, result, folder), tensorboard: folder };
}

/** @param tensorboard folder of event files, where some were written */
function summarise(session: Session, pipeline: Pipeline, result: RunResult, tensorboard?: string): RunLine {
  session.summarise(
    ["", ...summaryLines(result), "", ...pathLines(result), "", ...closingLines(result, pipeline, tensorboard)],
    summaryEvent(result),
  );
  return runLine(result);
}

export function runLine({ status, output, paths, resample, weights: learned }: RunResult): RunLine {
  const weights = resample ? Object.fromEntries(resample.domains.map(({ name, weight }) => [name, weight])) : learned;
  return {
    status,
    output,
    ...(paths.manifest !== undefined && { manifest: paths.manifest }),
    ...(weights && { weights }),
  };
}

/** Where things were written, the most wanted last, where the eye is. */
function pathLines({ paths, output }: RunResult): string[] {
  const named = [
    ["counts", paths.counts],
    ["weights", paths.weights],
    ["selection", paths.selection],
    ["manifest", paths.manifest],
  ] as const;
  const lines = named.flatMap(([name, path]) => (path === undefined ? [] : `${name.padEnd(9)}  ${shownPath(path)}`));
  return lines.length > 0 ? lines : [`output     ${shownPath(output)}`];
}

function closingLines({ status, paths, output }: RunResult, pipeline: Pipeline, tensorboard?: string): string[] {
  const next = [
    ...(paths.manifest === undefined ? [] : [`Check it:    ${ownCommand()} verify ${quotedPath(paths.manifest)}`]),
    ...(isRemote(output) || paths.weights === undefined
      ? []
      : [`Look at it:  ${ownCommand()} report ${quotedPath(output)}`]),
    ...(tensorboard === undefined ? [] : [`Its steps:   tensorboard --logdir ${quotedPath(tensorboard)}`]),
  ];
  if (status === "done") return next;
  return [
    `Nothing to do: everything that ${pipelineName(pipeline)} asks for was done before and is unchanged.`,
    ...next,
  ];
}

function pipelineName(pipeline: Pipeline): string {
  return pipeline.path === undefined ? pipeline.config.name : shownPath(pipeline.path);
}
