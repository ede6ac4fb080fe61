/** The batch script of a Slurm job, as text that a person reads and may submit again. Pure. */
import type { SlurmSettings } from "../schema/executor.ts";
import type { RunPlace, Submission } from "./contract.ts";
import { jobName, logPath, quoted, ranges } from "./steps.ts";
import { headingLine, taskLines } from "./task-shell.ts";

/** Before the time is up: doremi stops within 20 s. */
const SIGNAL_S = 60;

type Resources = Pick<SlurmSettings, "partition" | "qos" | "time" | "cpusPerTask" | "memPerCpuGb" | "sbatchArgs">;

/** Of a step: those of all, and its own in their place. */
export function resourcesOf(settings: SlurmSettings, step: Submission["step"]["name"]): Resources {
  const own = step === "count" ? undefined : settings[step];
  return {
    ...settings,
    ...(own &&
      (Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined)) as Partial<Resources>)),
    sbatchArgs: { ...settings.sbatchArgs, ...own?.sbatchArgs },
  };
}

/** @param program how doremi is started: words */
export function slurmScript(
  { step, tasks, attempt, after }: Submission,
  settings: SlurmSettings,
  place: RunPlace,
  program: readonly string[],
): string {
  const { partition, qos, time, cpusPerTask, memPerCpuGb, sbatchArgs } = resourcesOf(settings, step.name);
  const log = logPath(place.output, step.name, 0);
  const options: [string, string | number | boolean | undefined][] = [
    ["job-name", jobName(place.pipeline, step.name, place.key)],
    [
      "array",
      step.array ? `${ranges(tasks)}${settings.workers === undefined ? "" : `%${settings.workers}`}` : undefined,
    ],
    ["dependency", after.length > 0 ? `afterok:${after.join(":")}` : undefined],
    ["kill-on-invalid-dep", after.length > 0 ? "yes" : undefined],
    ["partition", partition],
    ["qos", qos],
    ["time", time],
    ["nodes", 1],
    ["ntasks", 1],
    ["cpus-per-task", cpusPerTask],
    ["mem-per-cpu", `${Math.ceil(memPerCpuGb * 1024)}M`],
    // %5a is the index of the array's task.
    ["output", step.array ? log.replace(/00000\.log$/, "%5a.log") : log],
    ["open-mode", "append"],
    [settings.requeue ? "requeue" : "no-requeue", true],
    // To this script alone, which hands it on: doremi saves its state.
    ["signal", `B:USR1@${SIGNAL_S}`],
    ["mail-user", settings.mailUser],
    ["mail-type", settings.mailUser === undefined ? undefined : settings.mailType],
    ...Object.entries(sbatchArgs ?? {}),
  ];
  const lines = options.flatMap(([name, value]) => {
    if (value === undefined || value === false) return [];
    return [value === true ? `#SBATCH --${name}` : `#SBATCH --${name}=${quoted(String(value))}`];
  });
  const envCommand = settings.envCommand === undefined ? "" : `${settings.envCommand}\n`;
  const requeueLines = settings.requeue
    ? `# 75: the time is nearly up and the state is saved; the same job goes on from there.
if [ "$status" -eq 75 ]; then scontrol requeue "$SLURM_JOB_ID" && sleep 60; fi
`
    : "";
  return `#!/usr/bin/env bash
# ${step.name} of the pipeline ${place.pipeline.replace(/\s+/g, " ")}, submitted by doremi run${attempt > 1 ? `: attempt ${attempt}` : ""}.
${lines.join("\n")}
task=\${SLURM_ARRAY_TASK_ID:-0}
workers=\${SLURM_CPUS_PER_TASK:-1}
${headingLine(step, `job $SLURM_JOB_ID on \${SLURMD_NODENAME:-?}, restart \${SLURM_RESTART_COUNT:-0}`)}${envCommand}${taskLines(step, program)}${requeueLines}exit "$status"
`;
}
