/**
 * A Slurm of two nodes on this machine, for the tests: Debian's slurmctld, slurmd and munged, as root, with all that they
 * write in one folder and on ports that were free.
 *
 *     node scripts/slurm-here.mjs start DIR      then: export SLURM_CONF=DIR/slurm.conf DOREMI_SLURM=DIR
 *     node scripts/slurm-here.mjs kill DIR n1    a node dies, with the jobs that run on it
 *     node scripts/slurm-here.mjs node DIR n1    and is there again
 *     node scripts/slurm-here.mjs stop DIR       ends all of it; DIR stays
 *
 * Needs: apt-get install --no-install-recommends slurmctld slurmd slurm-client munge
 */
import { spawn, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as wait } from "node:timers/promises";

const NODES = ["n1", "n2"];
const START_MS = 30_000;
const STOP_MS = 5_000;

const [, , action, folder, node] = process.argv;
if (!folder || !["start", "stop", "kill", "node"].includes(action)) {
  console.error("usage: node scripts/slurm-here.mjs start|stop DIR, or kill|node DIR n1|n2");
  process.exit(2);
}
const dir = resolve(folder);
const conf = join(dir, "slurm.conf");

if (action === "start") await start();
else if (action === "node") startNode(node);
else if (action === "kill") killNode(node);
else await stop();
process.exit(process.exitCode ?? 0);

async function start() {
  if (process.getuid?.() !== 0) fail("needs root: slurmd starts the jobs of other users");
  for (const program of ["munged", "slurmctld", "slurmd", "sbatch"]) {
    if (spawnSync("sh", ["-c", `command -v ${program}`], { env: environment() }).status !== 0) {
      fail(`${program} is not here: apt-get install --no-install-recommends slurmctld slurmd slurm-client munge`);
    }
  }
  // munged wants nobody else to be able to write here.
  mkdirSync(dir, { recursive: true, mode: 0o755 });
  for (const name of ["munge", "state", ...NODES]) mkdirSync(join(dir, name), { recursive: true, mode: 0o755 });
  const key = join(dir, "munge/key");
  writeFileSync(key, randomBytes(128), { mode: 0o400 });
  const ports = await freePorts(1 + NODES.length);
  writeFileSync(conf, configuration(ports));
  daemon("munged", [
    "--foreground",
    "--force",
    `--key-file=${key}`,
    `--socket=${join(dir, "munge/socket")}`,
    `--pid-file=${join(dir, "munge/own.pid")}`,
    `--log-file=${join(dir, "munge/log")}`,
    `--seed-file=${join(dir, "munge/seed")}`,
  ]);
  await until("munged to listen", () => existsSync(join(dir, "munge/socket")));
  daemon("slurmctld", ["-D", "-c", "-f", conf]);
  for (const name of NODES) startNode(name);
  await until("both nodes to be idle", () => {
    const found = spawnSync("sinfo", ["-h", "-N", "-o", "%N %T"], { env: environment(), encoding: "utf8" });
    return NODES.every((name) => found.stdout?.includes(`${name} idle`));
  });
  console.log(`SLURM_CONF=${conf}`);
}

/** @param {string} name */
function startNode(name) {
  if (!NODES.includes(name)) fail(`there is no node ${name}, there are ${NODES.join(" and ")}`);
  daemon("slurmd", ["-D", "-N", name, "-f", conf], `slurmd-${name}`);
}

/** @param {string} name */
function killNode(name) {
  const pid = pidOf(`slurmd-${name}`);
  if (pid !== undefined) signal(pid, "SIGKILL");
  for (const job of jobProcesses(name)) signal(job, "SIGKILL");
  // The controller would see it by itself after half a minute; a health check tells it.
  spawnSync("scontrol", ["update", `nodename=${name}`, "state=down", "reason=killed"], { env: environment() });
}

/**
 * Of a node's jobs, those of the slurmstepd that each runs under first: they would report the end of the others.
 * @param {string} name
 */
function jobProcesses(name) {
  /** @type {Set<number>} */
  const found = new Set();
  /** @type {Set<number>} */
  const parents = new Set();
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    const environ = procFile(entry, "environ").split("\0");
    if (!environ.includes(`SLURMD_NODENAME=${name}`) || !environ.includes(`SLURM_CONF=${conf}`)) continue;
    found.add(Number(entry));
    const parent = /^PPid:\s*(\d+)/m.exec(procFile(entry, "status"))?.[1];
    if (parent !== undefined && procFile(parent, "comm").startsWith("slurmstepd")) parents.add(Number(parent));
  }
  return [...parents, ...found];
}

/**
 * "" where the process is gone.
 * @param {string | number} pid
 * @param {string} file
 */
function procFile(pid, file) {
  try {
    return readFileSync(`/proc/${pid}/${file}`, "utf8");
  } catch {
    return "";
  }
}

async function stop() {
  for (const name of NODES) for (const pid of jobProcesses(name)) signal(pid, "SIGTERM");
  const names = ["slurmctld", ...NODES.map((name) => `slurmd-${name}`), "munged"];
  for (const name of names) {
    const pid = pidOf(name);
    if (pid === undefined) continue;
    // Steps are groups of their own: what a job started is ended by its slurmstepd.
    signal(pid, "SIGTERM");
    for (const end = Date.now() + STOP_MS; Date.now() < end && pidOf(name) !== undefined; ) await wait(50);
    if (pidOf(name) !== undefined) signal(pid, "SIGKILL");
  }
}

/** @param {number[]} ports of the controller and of the nodes */
function configuration([controller, ...nodes]) {
  const host = hostname();
  return `${[
    "ClusterName=here",
    `SlurmctldHost=${host}(127.0.0.1)`,
    `SlurmctldPort=${controller}`,
    "SlurmUser=root",
    "AuthType=auth/munge",
    // A job that is queued anew waits until its credential has run out: 120 s unless it is said.
    `AuthInfo=socket=${join(dir, "munge/socket")},cred_expire=5`,
    "CredType=cred/munge",
    `StateSaveLocation=${join(dir, "state")}`,
    `SlurmctldPidFile=${join(dir, "slurmctld-own.pid")}`,
    `SlurmdPidFile=${join(dir, "slurmd-%n-own.pid")}`,
    `SlurmdSpoolDir=${join(dir, "%n")}`,
    "ProctrackType=proctrack/linuxproc",
    "TaskPlugin=task/none",
    "MpiDefault=none",
    "SelectType=select/cons_tres",
    "SelectTypeParameters=CR_Core",
    "SlurmdParameters=config_overrides",
    "SchedulerParameters=sched_interval=1,bf_interval=1,batch_sched_delay=0",
    "ReturnToService=2",
    "SlurmdTimeout=5",
    "SlurmctldTimeout=5",
    "KillWait=5",
    "JobRequeue=1",
    "MailProg=/bin/true",
    "AccountingStorageType=accounting_storage/none",
    "JobAcctGatherType=jobacct_gather/none",
    ...NODES.map(
      (name, i) =>
        `NodeName=${name} NodeHostname=${host} NodeAddr=127.0.0.1 Port=${nodes[i]} CPUs=4 RealMemory=4000 State=UNKNOWN`,
    ),
    `PartitionName=cpu Nodes=${NODES.join(",")} Default=YES MaxTime=INFINITE State=UP`,
    `PartitionName=gpu Nodes=${NODES.at(-1)} MaxTime=INFINITE State=UP OverSubscribe=FORCE`,
  ].join("\n")}\n`;
}

/**
 * @param {string} program
 * @param {string[]} args
 */
function daemon(program, args, name = program) {
  const log = openSync(join(dir, `${name}.log`), "a");
  const child = spawn(program, args, { detached: true, stdio: ["ignore", log, log], env: environment() });
  child.on("error", (error) => fail(`${program}: ${error.message}`));
  writeFileSync(join(dir, `${name}.pid`), `${child.pid}\n`);
  child.unref();
}

function environment() {
  return { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/sbin`, SLURM_CONF: conf };
}

/**
 * Of a daemon that was started here and still is that one.
 * @param {string} name
 */
function pidOf(name) {
  const file = join(dir, `${name}.pid`);
  if (!existsSync(file)) return undefined;
  const pid = Number(readFileSync(file, "utf8"));
  return procFile(pid, "cmdline").split("\0")[0].includes(name.split("-")[0]) ? pid : undefined;
}

/**
 * @param {number} pid
 * @param {NodeJS.Signals} name
 */
function signal(pid, name) {
  try {
    process.kill(pid, name);
  } catch {
    // It ended by itself.
  }
}

/** @param {number} count */
async function freePorts(count) {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise((done) => {
          const server = createServer().listen(0, "127.0.0.1", () => done(server));
        }),
    ),
  );
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((done) => server.close(done))));
  return ports;
}

/**
 * @param {string} what
 * @param {() => boolean} condition
 */
async function until(what, condition) {
  for (const end = Date.now() + START_MS; !condition(); await wait(200)) {
    if (Date.now() < end) continue;
    await stop();
    fail(`waited ${START_MS / 1000} s for ${what}; see the logs in ${dir}`);
  }
}

/** @param {string} message @returns {never} */
function fail(message) {
  console.error(`slurm-here: ${message}`);
  process.exit(1);
}
