/**
 * Every stack's own code on one or more manifests, for a person: a table on stdout, and exit status 1 where one disagrees.
 *
 *   DOREMI_CONSUMERS=FOLDER tsx test/consumers/main.ts FOLDER-FOR-SETS MANIFEST…
 *
 * Stacks whose environment is not there are listed as left out. DOREMI_CONSUMERS_ONLY=SCRIPT,… runs those alone.
 */
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { performance } from "node:perf_hooks";
import { WorkerPool } from "../../src/stages/pool.ts";
import { type Expectation, expectationOf } from "./expectation.ts";
import { type Finding, python, readExport, readSet, type Subject } from "./reading.ts";
import { type Environment, EXPORT_READERS, SET_READERS } from "./stacks.ts";

const [folder, ...manifests] = process.argv.slice(2);
if (folder === undefined || manifests.length === 0) {
  process.stderr.write("main.ts: needs a folder for what is written, and manifests\n");
  process.exit(2);
}

interface Reading {
  readonly script: string;
  readonly environment: Environment;
  readonly of: string;
  read(subject: Subject): Promise<Finding>;
}

const READINGS: readonly Reading[] = [
  ...SET_READERS.flatMap((reader) =>
    (["mixed", "domain"] as const).map((layout) => ({
      ...reader,
      of: `${reader.format} set, ${layout}`,
      read: (subject: Subject) => readSet(subject, reader, layout),
    })),
  ),
  ...EXPORT_READERS.map((reader) => ({
    ...reader,
    of: `export to ${reader.stack}, in ${reader.unit}`,
    read: (subject: Subject) => readExport(subject, reader),
  })),
];

function described({ documents, tokens, domains }: Expectation): string {
  const count = (value: number) => value.toLocaleString("en");
  return `${count(documents)} documents, ${count(tokens)} tokens, ${domains.size} domains`;
}

const only = process.env.DOREMI_CONSUMERS_ONLY?.split(",");
let failed = false;
const pool = new WorkerPool({ workers: 2 });
for (const [index, given] of manifests.entries()) {
  const manifest = resolve(given);
  const sets = resolve(join(folder, String(index)));
  mkdirSync(sets, { recursive: true });
  const subject = { manifest, folder: sets, pool, expectation: await expectationOf(manifest), timeoutMs: 30 * 60_000 };
  process.stdout.write(
    `\n${given}: ${described(subject.expectation)}\n\n| read | by | agrees | seconds |\n|---|---|---|---|\n`,
  );
  for (const reading of READINGS.filter(({ script }) => only === undefined || only.includes(script))) {
    const start = performance.now();
    const verdict =
      python(reading.environment) === null ? `left out: no ${reading.environment} environment` : await judge();
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    process.stdout.write(`| ${reading.of} | ${reading.script} | ${verdict} | ${seconds} |\n`);

    async function judge(): Promise<string> {
      const disagreements = await reading.read(subject).then(
        (finding) => finding.disagreements,
        (error: unknown) => [error instanceof Error ? error.message : String(error)],
      );
      if (disagreements.length === 0) return "yes";
      failed = true;
      process.stderr.write(`${reading.script}, ${reading.of}: ${disagreements.join("; ")}\n`);
      return "NO";
    }
  }
}
await pool.close();
process.exitCode = failed ? 1 : 0;
