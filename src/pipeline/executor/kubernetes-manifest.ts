/** The manifest of an indexed Job of Kubernetes (batch/v1, 1.29 and newer), as plain data. Pure. */
import { dirname } from "node:path";
import { EXIT_STATUS } from "../../lib/errors.ts";
import type { KubernetesSettings } from "../schema/executor.ts";
import type { RunPlace, Step, StepName, Submission } from "./contract.ts";
import { jobName, logPath, quoted, ranges } from "./steps.ts";
import { headingLine, taskLines } from "./task-shell.ts";

/** Labels and annotations of a Job: which run and step it is of. */
export const RUN_LABEL = "doremi/run";
export const STEP_LABEL = "doremi/step";
export const TASKS_ANNOTATION = "doremi/tasks";
export const CONTAINER = "doremi";

/** Longer than doremi takes to save its state. */
const GRACE_S = 30;
/** A Job that is over is looked at by then. */
const KEPT_S = 7 * 86_400;

type Resources = Pick<KubernetesSettings, "cpu" | "memory" | "gpus" | "nodeSelector" | "podSpec">;

/** Of a step: those of all, and its own in their place. */
function resourcesOf(settings: KubernetesSettings, step: StepName): Resources {
  const own = step === "count" ? undefined : settings[step];
  return {
    cpu: own?.cpu ?? settings.cpu,
    memory: own?.memory ?? settings.memory,
    gpus: own?.gpus ?? settings.gpus,
    nodeSelector: own?.nodeSelector ?? settings.nodeSelector,
    podSpec: { ...settings.podSpec, ...own?.podSpec },
  };
}

export function jobManifest(
  { step, tasks }: Submission,
  settings: KubernetesSettings,
  place: RunPlace,
): Record<string, unknown> {
  const { namespace, image, serviceAccount, volumes, workers, retries, command } = settings;
  const { cpu, memory, gpus, nodeSelector, podSpec } = resourcesOf(settings, step.name);
  const labels = { "app.kubernetes.io/name": "doremi", [RUN_LABEL]: place.key, [STEP_LABEL]: step.name };
  const amounts = {
    cpu: String(cpu),
    memory: String(memory),
    ...(gpus !== undefined && { "nvidia.com/gpu": String(gpus) }),
  };
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: {
      // Submitted again, it is another Job.
      generateName: `${jobName(place.pipeline, step.name, place.key)}-`,
      ...(namespace !== undefined && { namespace }),
      labels,
      annotations: { [TASKS_ANNOTATION]: ranges(tasks) },
    },
    spec: {
      completionMode: "Indexed",
      completions: tasks.length,
      parallelism: Math.min(tasks.length, workers ?? tasks.length),
      backoffLimitPerIndex: retries,
      ttlSecondsAfterFinished: KEPT_S,
      podFailurePolicy: {
        rules: [
          // Another try would end the same.
          exitRule("FailIndex", [
            EXIT_STATUS.usage,
            EXIT_STATUS["bad-data"],
            EXIT_STATUS["missing-input"],
            EXIT_STATUS["bad-configuration"],
          ]),
          // The state is saved, or the node went away: no fault of the task's.
          exitRule("Ignore", [EXIT_STATUS.interrupted, 130, 143]),
          { action: "Ignore", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
        ],
      },
      template: {
        metadata: { labels },
        spec: {
          ...podSpec,
          restartPolicy: "Never",
          terminationGracePeriodSeconds: GRACE_S,
          ...(serviceAccount !== undefined && { serviceAccountName: serviceAccount }),
          ...(nodeSelector && { nodeSelector }),
          containers: [
            {
              name: CONTAINER,
              image,
              command: ["/bin/sh", "-c", podScript(step, tasks, cpu, place, command)],
              resources: { requests: amounts, limits: amounts },
              volumeMounts: volumes.map(({ mountPath }, i) => ({ name: `shared-${i}`, mountPath })),
            },
          ],
          volumes: volumes.map(({ claim }, i) => ({
            name: `shared-${i}`,
            persistentVolumeClaim: { claimName: claim },
          })),
        },
      },
    },
  };
}

function exitRule(action: "FailIndex" | "Ignore", values: readonly number[]): object {
  return {
    action,
    onExitCodes: { containerName: CONTAINER, operator: "In", values: [...values].sort((a, b) => a - b) },
  };
}

/** A pod knows its place in the Job; which task that is, the list says. */
function podScript(
  step: Step,
  tasks: readonly number[],
  cpu: string | number,
  place: RunPlace,
  program: readonly string[],
): string {
  const isAll = tasks.length === step.tasks;
  const choose = isAll
    ? "task=$JOB_COMPLETION_INDEX"
    : `set -- ${tasks.join(" ")}\nshift "$JOB_COMPLETION_INDEX"\ntask=$1`;
  const logs = quoted(dirname(logPath(place.output, step.name, 0)));
  return `${choose}
workers=${workersOf(cpu)}
exec >>${logs}/"$(printf %05d "$task").log" 2>&1
${headingLine(step, "pod $HOSTNAME")}${taskLines(step, program)}exit "$status"
`;
}

/** 4 → 4, "500m" → 1 */
function workersOf(cpu: string | number): number {
  const text = String(cpu);
  const cores = text.endsWith("m") ? Number(text.slice(0, -1)) / 1000 : Number(text);
  return Number.isFinite(cores) ? Math.max(1, Math.floor(cores)) : 1;
}
