/** Has a stack's own code read what doremi wrote of a manifest, and says how the two disagree. */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { MaterializedSet, OutputFormatName } from "../../src/manifest/materialized.ts";
import { exportManifest } from "../../src/pipeline/export.ts";
import { materialize } from "../../src/pipeline/materialize.ts";
import type { WorkerPool } from "../../src/stages/pool.ts";
import type { Expectation, Totals } from "./expectation.ts";
import type { Environment, ExportReader, SetReader } from "./stacks.ts";

/** What `scripts/consumers-venv.mjs` made. */
export const ENVIRONMENTS = process.env.DOREMI_CONSUMERS;

export function python(environment: Environment): string | null {
  if (ENVIRONMENTS === undefined || ENVIRONMENTS === "") return null;
  const path = join(ENVIRONMENTS, environment, "bin", "python");
  return existsSync(path) ? path : null;
}

export interface Subject {
  /** of manifest.json */
  readonly manifest: string;
  /** for what is written; sets that are there are taken as they are */
  readonly folder: string;
  readonly expectation: Expectation;
  readonly pool: WorkerPool;
  /** of one script */
  readonly timeoutMs: number;
}

export interface Finding {
  /** what the script printed */
  readonly read: Readonly<Record<string, unknown>>;
  /** empty: it agrees with the project */
  readonly disagreements: readonly string[];
}

/** Tokens of a training sequence, where a stack asks: short, so that the small corpus has many. */
const SEQUENCE_LENGTH = 64;
/** Only the last digits of a decimal number may differ. */
const TOLERANCE = 1e-9;

async function setOf(
  { manifest, folder, pool }: Subject,
  format: OutputFormatName,
  layout: MaterializedSet["layout"],
): Promise<string> {
  const output = join(folder, `${format}-${layout}`);
  await materialize(manifest, { format, layout, output, pool });
  return output;
}

export async function readSet(
  subject: Subject,
  { script, environment, format, hashes }: SetReader,
  layout: MaterializedSet["layout"],
): Promise<Finding> {
  const read = await runScript(environment, script, await setOf(subject, format, layout), subject.timeoutMs);
  const { documents, tokens, domains, sha256 } = subject.expectation;
  const tokensByDomain = [...domains].map(([name, of]) => [name, of.tokens] as const);
  // The files of a mixed set of ids do not say whose a document is.
  const given = read.domains as Record<string, number>;
  const said = Object.keys(given).length > 0 || layout === "domain";
  return {
    read,
    disagreements: [
      ...differ("documents", read.documents, documents),
      ...differ("tokens", read.tokens, tokens),
      ...differ("sha256", read.sha256, sha256[layout][hashes]),
      ...(said ? tokensByDomain.flatMap(([name, count]) => differ(`tokens of ${name}`, given[name], count)) : []),
      ...(said ? differ("domains", Object.keys(given).length, tokensByDomain.length) : []),
    ],
  };
}

export async function readExport(
  subject: Subject,
  { script, environment, stack, format, around, unit, shareOf }: ExportReader,
): Promise<Finding> {
  const output = around ? subject.folder : join(subject.folder, `export-${stack}`);
  const data = format && (await setOf(subject, format, "domain"));
  await exportManifest(stack, subject.manifest, {
    output,
    sequenceLength: SEQUENCE_LENGTH,
    ...(data !== null && { data }),
  });
  const read = await runScript(environment, script, output, subject.timeoutMs);
  const weights = read.weights as Record<string, number>;
  const { domains, ...all } = subject.expectation;
  const sizeOf = ({ documents, tokens }: Totals) => ({ documents, tokens, ids: tokens + documents })[shareOf];
  const expected = [...domains].map(([name, of]) => [name, sizeOf(of) / sizeOf(all)] as const);
  return {
    read,
    disagreements: [
      ...differ("unit", read.unit, unit),
      ...differ("domains", Object.keys(weights).filter((name) => weights[name] !== 0).length, expected.length),
      ...expected.flatMap(([name, weight]) =>
        Math.abs((weights[name] ?? Number.NaN) - weight) <= TOLERANCE
          ? []
          : [`weight of ${name}: read ${weights[name]}, not ${weight}`],
      ),
      ...(read.drawn === undefined ? [] : sampled(weights, read.drawn as Record<string, number>)),
      ...compared("tokens", read.tokens, (name) => domains.get(name)?.tokens),
      ...compared("documents", read.documents, (name) => domains.get(name)?.documents),
      ...(read.sha256 === undefined ? [] : differ("sha256", read.sha256, subject.expectation.sha256.domain.texts)),
      ...Object.entries((read.tokenShares as Record<string, Sampled> | undefined) ?? {}).flatMap(
        ([name, { share: found, error }]) => {
          const wanted = (domains.get(name)?.tokens ?? 0) / all.tokens;
          return Math.abs(found - wanted) <= DEVIATIONS * error
            ? []
            : [`tokens of ${name}: drew a share of ${found} ± ${error}, not ${wanted}`];
        },
      ),
      ...("complete" in read ? differ("complete", read.complete, true) : []),
    ],
  };
}

/** Counts by domain, where a script says some. */
function compared(what: string, read: unknown, expected: (domain: string) => number | undefined): string[] {
  const counts = (read ?? {}) as Record<string, number>;
  return Object.entries(counts).flatMap(([name, count]) => differ(`${what} of ${name}`, count, expected(name)));
}

/** A share of what was drawn, and its standard error. */
interface Sampled {
  readonly share: number;
  readonly error: number;
}

/** Standard errors that a sample may be off by: in 10 shares, one test of 1,500 would fail by chance. */
const DEVIATIONS = 4;

/** Draws against the weights that they were made by. Stacks that count them out are a whole draw off at most. */
function sampled(weights: Readonly<Record<string, number>>, drawn: Readonly<Record<string, number>>): string[] {
  const total = Object.values(drawn).reduce((sum, count) => sum + count, 0);
  return Object.entries(weights).flatMap(([name, weight]) => {
    const off = Math.abs((drawn[name] ?? 0) - weight * total);
    return off <= DEVIATIONS * Math.sqrt(total * weight * (1 - weight)) + 1
      ? []
      : [`draws of ${name}: ${drawn[name] ?? 0} of ${total}, by a weight of ${weight}`];
  });
}

function differ(what: string, read: unknown, expected: unknown): string[] {
  return read === expected ? [] : [`${what}: read ${String(read)}, not ${String(expected)}`];
}

/** No stack is to reach for a hub: all that it needs lies in the folder. */
const OFFLINE = { HF_HUB_OFFLINE: "1", HF_DATASETS_OFFLINE: "1", PYTHONDONTWRITEBYTECODE: "1" };

export function runScript(
  environment: Environment,
  script: string,
  folder: string,
  timeout: number,
): Promise<Record<string, unknown>> {
  const program = python(environment);
  if (program === null)
    throw new Error(`no environment ${environment}: node scripts/consumers-venv.mjs FOLDER ${environment}`);
  const path = join(import.meta.dirname, script);
  return new Promise((resolve, reject) => {
    const options = { env: { ...process.env, ...OFFLINE }, maxBuffer: 64 << 20, timeout };
    execFile(program, [path, folder], options, (error, stdout, stderr) => {
      if (error) reject(new Error(`${script} ${folder}: ${stderr.slice(-3000)}`));
      else resolve(JSON.parse(stdout.trim().split("\n").at(-1)!));
    });
  });
}
