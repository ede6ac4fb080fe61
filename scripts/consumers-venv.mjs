// Makes virtual environments for tests, one for each list of requirements: the training stacks that read what doremi writes
// (light, torch), and a store that speaks S3 (s3): node scripts/consumers-venv.mjs FOLDER [light] [torch] [s3]. One that
// holds its list is kept.
// stdout: a line of JSON for each, with the seconds that it took and its size.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const LISTS = {
  light: "consumers/requirements.txt",
  torch: "consumers/requirements-torch.txt",
  s3: "storage/requirements.txt",
};

const [folder, ...asked] = process.argv.slice(2);
const names = asked.length > 0 ? asked : ["light"];
const unknown = names.filter((name) => !(name in LISTS));
if (folder === undefined || unknown.length > 0) {
  const found = unknown.length > 0 ? `, got ${unknown.join(", ")}` : "";
  process.stderr.write(`consumers-venv.mjs: needs a folder, and of ${Object.keys(LISTS).join(", ")} those to make${found}\n`);
  process.exit(2);
}

/** Leaves nothing half-made: the folder is taken away where the program fails. */
function run(environment, program, ...args) {
  const { status, error } = spawnSync(program, args, { stdio: ["ignore", 2, 2] });
  if (error || status !== 0) {
    rmSync(environment, { recursive: true, force: true });
    process.stderr.write(`${program} ${args.join(" ")}: ${error?.message ?? `exit status ${status}`}\n`);
    process.exit(status || 1);
  }
}

function megabytes(path) {
  const files = readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const bytes = files.reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
  return Math.round(bytes / 1e6);
}

mkdirSync(folder, { recursive: true });
for (const name of names) {
  const list = join(import.meta.dirname, "..", "test", LISTS[name]);
  const key = createHash("sha256").update(readFileSync(list)).digest("hex");
  const environment = join(folder, name);
  const mark = join(environment, "requirements.sha256");
  const start = performance.now();
  const kept = existsSync(mark) && readFileSync(mark, "utf8") === key;
  if (!kept) {
    rmSync(environment, { recursive: true, force: true });
    run(environment, "python3", "-m", "venv", environment);
    // The list is complete: what a package requires beyond it (PyTorch, clouds) is left out on purpose. Wheels alone, so
    // that nothing has to be built; `--no-compile`, because most of it is never imported.
    const pip = ["install", "--no-deps", "--no-compile", "--quiet", "--disable-pip-version-check"];
    run(environment, join(environment, "bin", "pip"), ...pip, "--requirement", list);
    writeFileSync(mark, key);
  }
  const seconds = Math.round((performance.now() - start) / 100) / 10;
  process.stdout.write(`${JSON.stringify({ environment: name, kept, seconds, megabytes: megabytes(environment) })}\n`);
}
