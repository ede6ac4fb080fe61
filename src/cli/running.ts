/**
 * What `run`, `train` and `resample` have in common: run the pipeline with a display, print the table of domains, give
 * back the result line. Loads the whole program, so commands import it only when they run.
 */
import type { StageName } from "../pipeline/bindings.ts";
import { runOnCluster } from "../pipeline/executor/run.ts";
import type { Pipeline } from "../pipeline/load.ts";
import { type RunResult, runPipeline } from "../pipeline/run.ts";
import { quotedPath, shownPath } from "./paths.ts";
import type { Session } from "./session.ts";
import { summaryEvent, summaryLines } from "./summary.ts";

/** The result line of a run, without `command`. */
export interface RunLine {
  readonly status: RunResult["status"];
  readonly output: string;
  readonly manifest?: string;
  readonly weights?: Readonly<Record<string, number>>;
}

/** @param options for the jobs of a cluster, where the pipeline's executor is one */
export async function runWhereAsked(
  session: Session,
  pipeline: Pipeline,
  until: StageName,
  options: readonly string[],
): Promise<RunLine> {
  const { executor } = pipeline.config;
  // Listing files is no work for a cluster.
  if (executor.name === "local" || until === "discover") return runAndSummarise(session, pipeline, until);
  const { signal, onEvent } = session;
  return summarise(session, pipeline, await runOnCluster(pipeline, executor, { until, options, signal, onEvent }));
}

export async function runAndSummarise(session: Session, pipeline: Pipeline, until: StageName): Promise<RunLine> {
  const { signal, onEvent } = session;
  return summarise(session, pipeline, await runPipeline(pipeline, { until, signal, onEvent }));
}

function summarise(session: Session, pipeline: Pipeline, result: RunResult): RunLine {
  session.summarise(
    ["", ...summaryLines(result), "", ...pathLines(result), "", ...closingLines(result, pipeline)],
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

function closingLines({ status, paths }: RunResult, pipeline: Pipeline): string[] {
  const next = paths.manifest === undefined ? [] : [`Check it: doremi verify ${quotedPath(paths.manifest)}`];
  if (status === "done") return next;
  return [`Nothing to do: everything that ${pipelineName(pipeline)} asks for was done before and is unchanged.`];
}

function pipelineName(pipeline: Pipeline): string {
  return pipeline.path === undefined ? pipeline.config.name : shownPath(pipeline.path);
}
