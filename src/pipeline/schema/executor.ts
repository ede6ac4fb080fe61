/** `executor`: where `doremi run` does its work. The settings of slurm have the names of datatrove's SlurmPipelineExecutor. */
import { z } from "zod";
import { positiveInteger } from "./common.ts";

const time = z
  .string()
  .regex(/^(\d+(:\d{1,2}){0,2}|\d+-\d+(:\d{1,2}){0,2})$/, "must be a time limit such as 04:00:00 or 1-12")
  .describe(
    "Time limit of a job, as sbatch takes it. A training that meets it saves its state and goes on in the next.",
  );

const argument = z.union([z.string(), z.number(), z.boolean()]);

const slurmResources = {
  partition: z.string().min(1).optional().describe("Default: the cluster's."),
  qos: z.string().min(1).optional(),
  time: time.optional(),
  cpusPerTask: positiveInteger.optional(),
  memPerCpuGb: z.number().positive().optional(),
  sbatchArgs: z
    .record(z.string().regex(/^[a-z][a-z-]*$/, "must be an option of sbatch, without dashes before it"), argument)
    .optional()
    .describe("Further options of sbatch: { gres: gpu:1, account: mine, exclusive: true }."),
};

const tasks = positiveInteger
  .default(8)
  .describe("Parts that the count is divided into, by bytes; a cluster's MaxArraySize is the most.");
const workers = positiveInteger
  .optional()
  .describe("Tasks of the array that run at the same time, at most. Default: all.");
const retries = z.int().min(0).max(100).default(2).describe("How often a task that failed is submitted again.");
const pollSeconds = z.number().positive().max(3600).default(10).describe("Between two looks at the jobs.");

function overrides<Resources extends z.ZodRawShape>(what: string, resources: Resources) {
  return z.strictObject(resources).partial().optional().describe(`Of ${what}, where they differ.`);
}

const slurm = z.strictObject({
  name: z.literal("slurm"),
  tasks,
  workers,
  ...slurmResources,
  time: time.default("04:00:00"),
  cpusPerTask: positiveInteger.default(4),
  memPerCpuGb: z.number().positive().default(2),
  envCommand: z
    .string()
    .optional()
    .describe("Shell commands at the start of every job: module load node, source ~/.bashrc."),
  requeue: z.boolean().default(true).describe("Jobs whose node failed, or whose time is up, go back into the queue."),
  mailUser: z.string().min(1).optional(),
  mailType: z.string().min(1).default("FAIL").describe("As sbatch takes it, where mailUser is set."),
  retries,
  pollSeconds,
  merge: overrides("the job that merges the counts", slurmResources),
  train: overrides("the training, such as the partition of the GPUs", slurmResources),
  resample: overrides("the resampling", slurmResources),
});

const quantity = z.union([z.string().min(1), z.number().positive()]);

const podResources = {
  cpu: quantity.optional().describe("As Kubernetes takes it: 4 or 500m."),
  memory: quantity.optional().describe("As Kubernetes takes it: 8Gi."),
  gpus: positiveInteger.optional().describe("nvidia.com/gpu of a pod."),
  nodeSelector: z.record(z.string(), z.string()).optional(),
  podSpec: z
    .record(z.string(), z.unknown())
    .optional()
    .describe("Further fields of the pods' spec: { tolerations: [...], securityContext: { fsGroup: 1000 } }."),
};

const kubernetes = z.strictObject({
  name: z.literal("kubernetes"),
  tasks,
  workers,
  image: z.string().min(1).describe("Image that has doremi, such as one of the repository's Dockerfile."),
  command: z.array(z.string().min(1)).min(1).default(["doremi"]).describe("doremi in the image."),
  namespace: z.string().min(1).optional().describe("Default: the current context's."),
  serviceAccount: z.string().min(1).optional(),
  volumes: z
    .array(
      z.strictObject({
        claim: z.string().min(1).describe("PersistentVolumeClaim."),
        mountPath: z
          .string()
          .startsWith("/")
          .describe("The same path as here: the corpus, the tokenizers and the output are found by it."),
      }),
    )
    .min(1)
    .describe("What pods and this machine share: the output folder and the corpus lie on them."),
  ...podResources,
  cpu: quantity.default(4),
  memory: quantity.default("8Gi"),
  retries,
  pollSeconds,
  merge: overrides("the job that merges the counts", podResources),
  train: overrides("the training, such as its GPUs", podResources),
  resample: overrides("the resampling", podResources),
});

export const executor = z
  .union([
    z.literal("local").transform(() => ({ name: "local" as const })),
    z.literal("slurm").transform(() => slurm.parse({ name: "slurm" })),
    z.discriminatedUnion("name", [z.strictObject({ name: z.literal("local") }), slurm, kubernetes]),
  ])
  .default({ name: "local" })
  .describe(
    "Where doremi run does its work: on this machine, as jobs of a Slurm cluster, or as Jobs of Kubernetes. All machines see the same files.",
  );

export type ExecutorSettings = z.output<typeof executor>;
export type SlurmSettings = Extract<ExecutorSettings, { name: "slurm" }>;
export type KubernetesSettings = Extract<ExecutorSettings, { name: "kubernetes" }>;
