/** Tokens per domain for `doremi weights`: of a pipeline that has been counted, or of a file. Counts nothing itself. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { DoremiError } from "../lib/errors.ts";
import { didYouMean } from "../lib/nearest.ts";
import type { Pipeline } from "../pipeline/load.ts";
import { OutputFolder } from "../pipeline/output-folder.ts";
import { shownPath } from "./paths.ts";
import type { DomainSizes } from "./weights-contract.ts";

/** @param tokenizer null = the one that the pipeline counts its weights in */
export async function sizesOfPipeline(pipeline: Pipeline, tokenizer: string | null): Promise<DomainSizes> {
  const folder = new OutputFolder(pipeline.output);
  if (!(await folder.done("count"))) {
    const name = pipeline.path === undefined ? "the pipeline" : shownPath(pipeline.path);
    throw new DoremiError(
      "missing-input",
      "not-counted",
      `${shownPath(pipeline.output)}: holds no counts of ${name}; count first: doremi run ${name} --until count`,
      { file: pipeline.output },
    );
  }
  return sizesOfFile(join(folder.folderOf("count"), "counts.json"), tokenizer);
}

/** counts.json of a run, the line that `doremi count` prints, or { domain: tokens }. */
export async function sizesOfFile(path: string, tokenizer: string | null): Promise<DomainSizes> {
  const file = shownPath(path);
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, "utf8"));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw new DoremiError("bad-data", "bad-json", `${file}: must be JSON, ${error.message}`, { file: path });
  }
  const entries = entriesOf(value);
  if (entries.length === 0) throw bad(path, file, "must be counts.json, or JSON of { domain: tokens }");
  const tokens = entries.map(([domain, counted]) => {
    const found = typeof counted === "object" && counted !== null ? pick(counted as Counted, tokenizer, path) : counted;
    if (typeof found === "number" && Number.isSafeInteger(found) && found >= 0) return found;
    throw bad(path, file, `tokens of “${domain}” must be a whole number ≥ 0, found ${JSON.stringify(found)}`);
  });
  return { domains: entries.map(([domain]) => domain), tokens };
}

interface Counted {
  readonly tokens?: unknown;
}

function entriesOf(value: unknown): [string, unknown][] {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return [];
  const { domains = value } = value as { domains?: unknown };
  if (Array.isArray(domains)) return domains.map((domain: { name?: unknown }) => [String(domain?.name), domain]);
  return typeof domains === "object" && domains !== null ? Object.entries(domains) : [];
}

/** Of a domain that was counted with one tokenizer or several. */
function pick({ tokens }: Counted, tokenizer: string | null, path: string): unknown {
  if (typeof tokens !== "object" || tokens === null) return tokens;
  const [first] = Object.values(tokens);
  if (tokenizer === null) return first;
  if (Object.hasOwn(tokens, tokenizer)) return (tokens as Record<string, unknown>)[tokenizer];
  const names = Object.keys(tokens);
  throw new DoremiError(
    "usage",
    "weights-arguments",
    `--tokenizer ${tokenizer}: ${shownPath(path)} was not counted with it${didYouMean(tokenizer, names) || `; there are ${names.join(", ")}`}`,
    { file: path },
  );
}

function bad(path: string, file: string, rule: string): DoremiError {
  return new DoremiError("bad-data", "bad-counts", `${file}: ${rule}`, { file: path });
}
