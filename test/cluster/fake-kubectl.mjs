/**
 * kubectl as far as doremi calls it, with a cluster that is a folder (FAKE_KUBERNETES): pods are processes of this machine,
 * run by the rules of the Job's own manifest. `calls` in the folder lists what was asked.
 */
import { spawn } from "node:child_process";
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parse } from "yaml";

const cluster = process.env.FAKE_KUBERNETES;
const jobs = join(cluster, "jobs");
mkdirSync(jobs, { recursive: true });
const [verb, ...args] = process.argv.slice(2);
const option = (name) => args[args.indexOf(name) + 1];

if (verb === "run-job") await runJob(args[0]);
else {
  appendFileSync(join(cluster, "calls"), `${[verb, ...args].join(" ")}\n`);
  if (verb === "create") create(option("--filename"));
  else if (verb === "get" && args[0] === "jobs") print(list(jobs).filter(selected(option("--selector"))));
  else if (verb === "get" && args[0] === "pods") print(read(join(jobs, `${option("--selector").split("=")[1]}.json`))?.pods ?? []);
  else if (verb === "delete") for (const name of args.slice(1)) rmSync(join(jobs, `${name}.json`), { force: true });
  else {
    console.error(`error: unknown command ${verb}`);
    process.exit(1);
  }
}

function create(file) {
  const manifest = parse(readFileSync(file, "utf8"));
  const name = `${manifest.metadata.generateName}${process.pid.toString(36)}`;
  write({ ...manifest, metadata: { ...manifest.metadata, name }, status: { active: 0 }, pods: [] });
  spawn(process.execPath, [import.meta.filename, "run-job", name], { detached: true, stdio: "ignore" }).unref();
  console.log(`job.batch/${name}`);
}

async function runJob(name) {
  const job = read(join(jobs, `${name}.json`));
  const { completions, parallelism, backoffLimitPerIndex, podFailurePolicy, template } = job.spec;
  const [container] = template.spec.containers;
  const [program, ...words] = container.command;
  const [done, failed] = [[], []];
  const waiting = [...Array(completions).keys()].map((index) => ({ index, failures: 0 }));
  const ruleOf = (status) => podFailurePolicy.rules.find(({ onExitCodes }) => onExitCodes?.values.includes(status))?.action;
  const worker = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const { index, failures } = next;
      job.status.active++;
      save(job);
      const env = { ...process.env, JOB_COMPLETION_INDEX: String(index), HOSTNAME: `${name}-${index}` };
      const child = spawn(program, words, { env, stdio: "ignore" });
      const exitCode = await new Promise((resolve) => child.on("close", (code) => resolve(code ?? 137)));
      job.status.active--;
      const annotations = { "batch.kubernetes.io/job-completion-index": String(index) };
      const terminated = { exitCode, reason: exitCode === 0 ? "Completed" : "Error" };
      job.pods.push({
        metadata: { annotations, creationTimestamp: new Date().toISOString() },
        status: { containerStatuses: [{ name: container.name, state: { terminated } }] },
      });
      const rule = exitCode === 0 ? undefined : ruleOf(exitCode);
      if (exitCode === 0) done.push(index);
      else if (rule === "Ignore") waiting.push(next);
      else if (rule === "FailIndex" || failures >= backoffLimitPerIndex) failed.push(index);
      else waiting.push({ index, failures: failures + 1 });
      job.status.completedIndexes = done.toSorted((a, b) => a - b).join(",");
      job.status.failedIndexes = failed.toSorted((a, b) => a - b).join(",");
      save(job);
    }
  };
  await Promise.all(Array.from({ length: parallelism }, worker));
  job.status.conditions = [{ type: failed.length > 0 ? "Failed" : "Complete", status: "True" }];
  save(job);
}

/** A Job that was deleted stays so. */
function save(job) {
  if (existsSync(join(jobs, `${job.metadata.name}.json`))) write(job);
}

function write(job) {
  const path = join(jobs, `${job.metadata.name}.json`);
  writeFileSync(`${path}.tmp`, JSON.stringify(job));
  renameSync(`${path}.tmp`, path);
}

function read(path) {
  return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : undefined;
}

function list(folder) {
  return readdirSync(folder)
    .filter((name) => basename(name).endsWith(".json"))
    .map((name) => read(join(folder, name)));
}

function selected(selector) {
  const [label, value] = selector.split("=");
  return ({ metadata }) => metadata.labels[label] === value;
}

function print(items) {
  console.log(JSON.stringify({ apiVersion: "v1", kind: "List", items }));
}
