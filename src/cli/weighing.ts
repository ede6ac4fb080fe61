/**
 * What `doremi weights` does: which methods are asked for, as settings of a pipeline file would say them, their weights,
 * and the table. Loads the schema and the mathematics, so the command imports it only when it runs.
 */
import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { writeFileAtomic } from "../lib/atomic-write.ts";
import { DoremiError } from "../lib/errors.ts";
import { didYouMean } from "../lib/nearest.ts";
import { matchWeights, parseWeightsTable } from "../mixture/weights.ts";
import { resolveFixed } from "../pipeline/domain-settings.ts";
import { fromBase, loadPipeline, type Pipeline } from "../pipeline/load.ts";
import {
  describeRegression,
  type RegressionWeights,
  regressionNotes,
  regressionWeights,
  runsOf,
} from "../pipeline/regression-weights.ts";
import { weights as weightsSchema } from "../pipeline/schema/weights.ts";
import { flattenIssues, ruleOf } from "../pipeline/schema-issues.ts";
import { type RegressionSource, readWeights, type WeightsContext } from "../pipeline/weights-source.ts";
import { loadOptions } from "./options.ts";
import type { DomainSizes, RegressionFacts, Weighed, WeightsOptions } from "./weights-contract.ts";
import { sizesOfFile, sizesOfPipeline } from "./weights-sizes.ts";
import { weightsLines } from "./weights-table.ts";

const METHODS = ["natural", "uniform", "temperature", "unimax", "regression", "learned"] as const;

/** mT5's and XLM-R's. */
const TEMPERATURE = 3.3;

interface Known {
  readonly pipeline: Pipeline | null;
  readonly sizes: DomainSizes | null;
  readonly budgetTokens: number | "auto";
}

export async function weigh(
  path: string | undefined,
  options: WeightsOptions,
): Promise<{ result: object; lines: string[] }> {
  const known = await whatIsKnown(path, options);
  const methods = await methodsOf(known, options);
  if (options.out !== undefined && methods.length > 1) {
    throw usage(
      `--out writes the weights of one method, found ${methods.length} (${methods.join(", ")}); name it with --method`,
    );
  }
  const weighed: Weighed[] = [];
  for (const method of methods) weighed.push(await weightsBy(method, known, options));
  if (options.out !== undefined) {
    await writeFileAtomic(resolve(options.out), `${JSON.stringify(tableOf(weighed[0]!), null, 2)}\n`);
  }
  const budget = known.budgetTokens === "auto" ? null : known.budgetTokens;
  return {
    result: {
      ...(known.sizes && {
        tokens: Object.fromEntries(known.sizes.domains.map((name, i) => [name, known.sizes!.tokens[i]])),
      }),
      ...(budget !== null && { budgetTokens: budget }),
      methods: weighed.map((one) => ({
        method: one.method,
        from: one.from,
        weights: tableOf(one),
        notes: one.notes,
        ...(one.regression && { regression: one.regression }),
      })),
      ...(options.out !== undefined && { out: options.out }),
    },
    lines: weightsLines(weighed, known.sizes, budget),
  };
}

async function whatIsKnown(path: string | undefined, options: WeightsOptions): Promise<Known> {
  const { counts, output, tokenizer = null, budget } = options;
  if (path !== undefined && counts !== undefined) {
    throw usage(`--counts ${counts}: ${path} is given, whose own counts are taken; give one of them`);
  }
  if (path === undefined && output !== undefined) throw usage("--output is of a pipeline, and none is given");
  if (path !== undefined) {
    const pipeline = await loadPipeline(path, loadOptions(options));
    const sizes = await sizesOfPipeline(pipeline, tokenizer);
    return { pipeline, sizes, budgetTokens: budget ?? pipeline.config.resample.budgetTokens };
  }
  if (counts === undefined && options.regression === undefined) {
    throw usage("needs a pipeline file, --counts or --regression; see doremi weights --help");
  }
  const sizes = counts === undefined ? null : await sizesOfFile(resolve(counts), tokenizer);
  return { pipeline: null, sizes, budgetTokens: budget ?? "auto" };
}

/** Those named, or all that there is what they need for. */
async function methodsOf({ pipeline, sizes, budgetTokens }: Known, options: WeightsOptions): Promise<string[]> {
  const { method, regression, temperature, exponent, maxEpochs } = options;
  if (temperature !== undefined && exponent !== undefined) throw usage("--temperature T is --exponent 1/T; give one");
  for (const name of method ?? []) {
    if ((METHODS as readonly string[]).includes(name) || name.endsWith(".json")) continue;
    throw usage(`--method ${name}: must be ${METHODS.join(", ")} or a weights.json${didYouMean(name, METHODS)}`);
  }
  if (method?.includes("regression") && regression === undefined)
    throw usage("--method regression needs --regression runs.csv");
  if (method?.includes("learned") && pipeline === null)
    throw usage("--method learned needs a pipeline file that has been run");
  const needsBudget = method?.includes("unimax")
    ? "--method unimax"
    : maxEpochs && regression
      ? "--max-epochs"
      : undefined;
  if (needsBudget !== undefined && budgetTokens === "auto") {
    throw usage(`${needsBudget} caps epochs of a budget, and none is said; give --budget`);
  }
  if (method) return [...new Set(method)];
  const learned = pipeline !== null && (await learnedTable(pipeline)) !== undefined;
  return [
    ...(sizes ? ["natural", "uniform", "temperature"] : []),
    ...(sizes && budgetTokens !== "auto" ? ["unimax"] : []),
    ...(regression === undefined ? [] : ["regression"]),
    ...(learned ? ["learned"] : []),
  ];
}

async function weightsBy(method: string, known: Known, options: WeightsOptions): Promise<Weighed> {
  const { pipeline, sizes, budgetTokens } = known;
  const context: WeightsContext = {
    setting: "doremi weights",
    resolve,
    seed: options.seed ?? pipeline?.config.seed ?? 1,
    budgetTokens,
  };
  if (method === "regression") return byRegression(await regressionSource(known, options, context), known);
  if (sizes === null)
    throw usage(
      `--method ${method} needs the sizes of the domains: a pipeline file that has been counted, or --counts`,
    );
  const { domains, tokens } = sizes;
  if (method === "learned") {
    const table = await learnedTable(pipeline!);
    if (!table) {
      const message = `${pipeline!.output}: holds no learned weights; learn them first: doremi train`;
      throw new DoremiError("missing-input", "not-learned", message, { file: pipeline!.output });
    }
    return { method, domains, ...matchWeights(table, domains, learnedPath(pipeline!)), from: "doremi" };
  }
  const { temperature = TEMPERATURE, exponent, maxEpochs } = options;
  const setting = {
    temperature: exponent === undefined ? { temperature } : { exponent },
    unimax: { unimax: maxEpochs === undefined ? {} : { maxEpochs } },
  }[method];
  const source = await readWeights(parseSetting(setting ?? method), context);
  if (source.kind === "learned" || source.kind === "regression") throw new Error(`no fixed weights: ${source.kind}`);
  return { method, domains, ...resolveFixed(source, domains, tokens) };
}

async function regressionSource(
  { sizes }: Known,
  options: WeightsOptions,
  context: WeightsContext,
): Promise<RegressionSource> {
  const { regression, losses, target, fit, search, kl, maxEpochs, prior = sizes ? "natural" : "uniform" } = options;
  if (sizes === null && (prior === "natural" || maxEpochs !== undefined)) {
    const what = prior === "natural" ? "--prior natural" : "--max-epochs";
    throw usage(`${what} needs the sizes of the domains: a pipeline file that has been counted, or --counts`);
  }
  const setting = parseSetting({
    regression: {
      runs: losses === undefined ? regression : { mixtures: regression, losses },
      target,
      fit,
      search,
      kl,
      maxEpochs,
      prior,
    },
  });
  const source = await readWeights(setting, context);
  if (source.kind !== "regression") throw new Error(`no regression: ${source.kind}`);
  return source;
}

function byRegression(source: RegressionSource, { sizes }: Known): Weighed {
  const domains = sizes ? sizes.domains : runsOf(source, null).domains;
  const prior = resolveFixed(source.prior, domains, sizes?.tokens ?? domains.map(() => 1));
  const found = regressionWeights(source, sizes && domains, sizes?.tokens ?? null, prior.weights);
  return {
    method: "regression",
    domains,
    weights: [...found.weights],
    from: describeRegression(source, found),
    notes: [...prior.notes, ...regressionNotes(found)],
    regression: regressionFacts(found),
  };
}

function regressionFacts({ fitted, predictedLoss, priorLoss, warnings }: RegressionWeights): RegressionFacts {
  const { quality, targets, runs } = fitted;
  return { runs: runs.mixtures.length, predictedLoss, priorLoss, ...quality, targets, warnings };
}

/** Settings put together from options, checked as those of a pipeline file are. */
function parseSetting(setting: unknown) {
  const defined = JSON.parse(JSON.stringify(setting)) as unknown; // without what was not given
  const parsed = weightsSchema.safeParse(defined);
  if (parsed.success) return parsed.data;
  const issue = flattenIssues(parsed.error.issues, defined)[0]!;
  const found = issue.path.reduce<unknown>(
    (at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key],
    defined,
  );
  throw usage(`${issue.path.join(".")}: ${ruleOf(issue)}, found ${JSON.stringify(found)}`);
}

function learnedPath(pipeline: Pipeline): string {
  return join(fromBase(pipeline, pipeline.output), "proxy", "weights.json");
}

async function learnedTable(pipeline: Pipeline): Promise<Record<string, unknown> | undefined> {
  const path = learnedPath(pipeline);
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return undefined;
    throw error;
  });
  return text === undefined ? undefined : parseWeightsTable(text, path);
}

function tableOf({ domains, weights }: Pick<Weighed, "domains" | "weights">): Record<string, number> {
  return Object.fromEntries(domains.map((domain, i) => [domain, weights[i]!]));
}

function usage(message: string): DoremiError {
  return new DoremiError("usage", "weights-arguments", message);
}
