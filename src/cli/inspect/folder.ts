/** Folders of ours: a run's output, a stage's, a model's, a checkpoint's. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { DoremiError } from "../../lib/errors.ts";
import type { DoneMark } from "../../pipeline/output-folder.ts";
import { checkpointSteps } from "../../trainer/checkpoint-files.ts";
import { formatBytes, plural } from "../numbers.ts";
import { STAGES } from "../options.ts";
import { formatTable } from "../table.ts";
import type { Inspection } from "./contract.ts";
import { inspectJson, readJsonDocument } from "./json-file.ts";
import { inspectModel } from "./model.ts";

export async function inspectFolder(folder: string): Promise<Inspection> {
  const entries = new Set(await readdir(folder));
  if (entries.has("done.json")) return inspectNamed(folder, "done.json");
  const [step] = await checkpointSteps(folder);
  if (step !== undefined) return inspectNamed(folder, `step-${step}.json`);
  if (entries.has("config.json")) return inspectModel(folder);
  if (entries.has(".doremi")) return inspectRun(folder, [...entries].sort(byStage));
  throw new DoremiError(
    "bad-data",
    "unknown-folder",
    `${folder}: is not the folder of a run, a stage, a model or a checkpoint; name a file in it`,
    { file: folder },
  );
}

async function inspectNamed(folder: string, name: string): Promise<Inspection> {
  const path = join(folder, name);
  const document = await readJsonDocument(path);
  const inspection = document === undefined ? undefined : await inspectJson(path, document.value);
  if (inspection && inspection !== "model") return inspection;
  throw new DoremiError(
    "bad-data",
    "bad-json",
    `${path}: is not a ${name} of doremi's; delete the folder and run again`,
    {
      file: path,
    },
  );
}

async function inspectRun(folder: string, entries: readonly string[]): Promise<Inspection> {
  const owner = (await readMark(join(folder, ".doremi", "run.json"))) as { pipeline?: string } | undefined;
  const stages = [];
  for (const entry of entries) {
    const mark = (await readMark(join(folder, entry, "done.json"))) as DoneMark | undefined;
    if (!mark || !Array.isArray(mark.files)) continue;
    const bytes = mark.files.reduce((sum, file) => sum + file.size, 0);
    stages.push({ stage: mark.stage, key: mark.key, files: mark.files.length, bytes });
  }
  const name = owner?.pipeline ?? null;
  return {
    kind: "output folder of a run",
    facts: { pipeline: name, stages },
    lines: [
      `pipeline  ${name ?? "unknown"}`,
      "",
      ...(stages.length === 0
        ? ["No stage is complete."]
        : formatTable(
            [
              { header: "complete stage", align: "left" },
              { header: "files" },
              { header: "size" },
              { header: "key", align: "left" },
            ],
            stages.map(({ stage, files, bytes, key }) => [
              stage,
              plural(files, "file"),
              formatBytes(bytes),
              key.slice(0, 16),
            ]),
          )),
    ],
  };
}

/** Where there are several proxies, mixture puts them together. */
const IN_ORDER = STAGES.flatMap((name) => (name === "proxy" ? [name, "mixture"] : [name]));
const STAGE_ORDER: ReadonlyMap<string, number> = new Map(IN_ORDER.map((name, index) => [name, index]));

/** Our stages in the order of a run, those of later rounds and seeds with the first's, others by name after them. */
function byStage(a: string, b: string): number {
  const order = (name: string) => STAGE_ORDER.get(name.replace(/(-round-\d+)?(-seed-\d+)?$/, "")) ?? IN_ORDER.length;
  const [first, second] = [order(a), order(b)];
  return first !== second ? first - second : a < b ? -1 : 1;
}

/** undefined where there is none, or it cannot be read */
async function readMark(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, "utf8"));
  } catch {
    return undefined;
  }
}
