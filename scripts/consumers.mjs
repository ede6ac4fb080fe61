// npm run test:consumers -- MANIFEST…: installs the stacks of Python that are on request too, and has all of them read
// what doremi writes of the manifests. Everything goes to runs/consumers; DOREMI_CONSUMERS names other environments.
import { spawnSync } from "node:child_process";
import { join } from "node:path";

const root = join(import.meta.dirname, "..");
const environments = process.env.DOREMI_CONSUMERS ?? join(root, "runs/consumers/environments");
const manifests = process.argv.slice(2);
if (manifests.length === 0) {
  process.stderr.write("test:consumers: needs manifests: npm run test:consumers -- runs/quickstart/resample/manifest.json\n");
  process.exit(2);
}

function node(...args) {
  const env = { ...process.env, DOREMI_CONSUMERS: environments };
  const { status } = spawnSync(process.execPath, args, { stdio: "inherit", env });
  if (status !== 0) process.exit(status ?? 1);
}

if (process.env.DOREMI_CONSUMERS === undefined) {
  node(join(root, "scripts/consumers-venv.mjs"), environments, "light", "torch");
}
node("--import", "tsx", join(root, "test/consumers/main.ts"), join(root, "runs/consumers/sets"), ...manifests);
