/** `npm run test:crash [-- --kills 200 --seed 1]`: the crash matrix at full length, with a table of what was killed. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { crash } from "./crash.ts";

const { values } = parseArgs({
  options: {
    kills: { type: "string", default: "200" },
    seed: { type: "string", default: "1" },
    polite: { type: "string", default: "0.25" },
  },
});
const folder = mkdtempSync(join(tmpdir(), "doremi-crash-"));
const started = performance.now();
const { kills, lives, faults } = await crash({
  folder,
  kills: Number(values.kills),
  seed: Number(values.seed),
  polite: Number(values.polite),
  log: (line) => console.error(line),
});
const signals = [...new Set(Object.values(kills).flatMap((bySignal) => Object.keys(bySignal)))].sort();
console.log(`| stage | ${signals.join(" | ")} |`);
console.log(`|---|${signals.map(() => "--:|").join("")}`);
for (const [stage, bySignal] of Object.entries(kills)) {
  console.log(`| ${stage} | ${signals.map((signal) => bySignal[signal] ?? 0).join(" | ")} |`);
}
const met = Object.values(kills)
  .flatMap((bySignal) => Object.values(bySignal))
  .reduce((sum, n) => sum + n, 0);
console.log(`${met} kills, ${lives} runs finished and compared, ${Math.round((performance.now() - started) / 1000)} s`);
if (faults.length === 0) rmSync(folder, { recursive: true, force: true });
for (const fault of faults) console.log(`FAULT ${fault}`);
if (faults.length > 0) console.log(`what they left is in ${folder}`);
process.exitCode = faults.length > 0 ? 1 : 0;
