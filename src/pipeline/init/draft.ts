/**
 * A pipeline file for a corpus of which only the place is known: looks at it, decides what can be decided, asks for the
 * rest, and gives the text. Writes nothing.
 */
import { basename, dirname, resolve } from "node:path";
import { DoremiError } from "../../lib/errors.ts";
import { didYouMean } from "../../lib/nearest.ts";
import { relativePath } from "../../lib/relative-path.ts";
import { corpusFiles } from "../../stages/discover/files.ts";
import { isRemote, publicLocation, shownLocation } from "../../storage/location.ts";
import { openTokenizer } from "../../tokenizer/open.ts";
import { resolveTokenizer } from "../../tokenizer/resolve.ts";
import { tiktokenName } from "../../tokenizer/tiktoken.ts";
import { absolutePattern } from "../corpus-settings.ts";
import { parsePipeline } from "../load.ts";
import { chooseText, domainCandidates, otherTexts, type Samples, textCandidates } from "./columns.ts";
import { escapeGlob, type Listing, listCorpus } from "./listing.ts";
import { allFiles, domainsOfNames, domainsOfPaths, isHeldOut, type PathDomains } from "./paths.ts";
import { formatCount, type Setting } from "./setting.ts";
import { heldOutShare, type Machine, trainingSettings } from "./sizes.ts";
import { type Estimate, estimateSize, narrowed, type Survey, surveyCorpus } from "./survey.ts";
import { pipelineText } from "./write.ts";

export interface DraftRequest {
  /** folder, URI or pattern */
  readonly source: string;
  /** where the pipeline file will be, absolute: its paths are relative to there */
  readonly path: string;
  readonly textColumn?: string;
  readonly domainColumn?: string;
  /** a published name, or a tokenizer.json relative to the current folder */
  readonly tokenizer?: string;
  readonly budgetTokens?: number | "auto";
  readonly machine: Machine;
  /** takes the likeliest where nobody is there to ask */
  readonly takeLikeliest: boolean;
}

/** Somebody at a terminal; null where nobody is. */
export type Ask = ((question: Question) => Promise<string>) | null;

export interface Question {
  readonly text: string;
  /** what may be chosen, with what is known of each; none = anything */
  readonly choices?: readonly { readonly value: string; readonly about: string }[];
  /** what an empty answer means */
  readonly usual?: string;
}

export interface Draft {
  readonly text: string;
  readonly domains: readonly string[];
  /** false: seen in a sample of the rows, and there may be more */
  readonly allDomains: boolean;
  readonly domainsFrom: string;
  readonly files: readonly string[];
  readonly shards: number;
  readonly heldOutShards: number;
  readonly formats: readonly string[];
  readonly textColumn: string;
  readonly domainColumn: string | null;
  readonly tokenizer: string;
  readonly estimate: Estimate;
  readonly notes: readonly string[];
}

/** Is called as shards are. */
const IS_SHARD = /\.(parquet|arrows?|feather|ipc|jsonl?|ndjson)(\.(gz|gzip|zst|zstd))?$/i;

/** The domain of documents that name none. */
const UNNAMED = "other";

/** @throws DoremiError no-text-column, ambiguous-text-column, no-domain, missing-column; what listing and reading refuse */
export async function draftPipeline(request: DraftRequest, ask: Ask): Promise<Draft> {
  const listing = await listCorpus(request.source);
  const survey = await surveyCorpus(listing);
  const samples = joinedSamples(survey);
  const text = await decideText(request, samples, survey, ask);
  const withText = narrowed(survey, text.path);
  const domains = await decideDomains(request, listing, withText, samples, text.path, ask);
  const files = filePatterns(request, listing, domains.patterns);
  const heldOut = domains.heldOut.length > 0 ? filePatterns(request, listing, domains.heldOut) : [];
  await checkPatterns(request, listing, domains.paths, [...files, ...heldOut]);
  const tokenizer = await decideTokenizer(request, ask);
  const shards = domains.paths.filter((path) => heldOut.length === 0 || !isHeldOut(path));
  const estimate = await estimateSize(listing, withText, text.path, shards, await openTokenizer(tokenizer.descriptor));
  const budget = request.budgetTokens ?? "auto";
  const name = nameOf(request.path, listing.root);
  const stray = withText.shards.length - domains.paths.length;
  const notes = [
    ...(text.others.length === 0
      ? []
      : [
          `the text is taken from ${text.path}; ${text.others.join(", ")} may be it as well: say so with --text-column`,
        ]),
    ...withText.broken.map(
      ({ reason, canSkip }) =>
        `cannot be read: ${reason}; a run stops there${canSkip ? ", or with onBadShard: skip passes it over" : ""}`,
    ),
    ...withText.left.map(leftOutOf),
    ...(listing.passedOver.length === 0
      ? []
      : [
          `passed over what doremi wrote: ${listing.passedOver.map((folder) => relativePath(listing.root, folder)).join(", ")}`,
        ]),
    ...(heldOut.length === 0 && shards.some(isHeldOut)
      ? [
          `${shards.filter(isHeldOut).length} files are held out by their names, but not of every domain: they are taken like the others`,
        ]
      : []),
    ...(stray > 0 ? [leftOut(stray, "", "above the folders of the domains")] : []),
  ];
  const settings: Setting[] = [
    { path: "version", value: 1 },
    { path: "name", value: name },
    { path: "output", value: `runs/${name}` },
    { path: "seed", value: 1 },
    { path: "tokenizer", value: tokenizer.value, why: tokenizer.why },
    { path: "data.files", value: files.length === 1 ? files[0] : files, why: domains.why },
    { path: "data.textColumn", value: text.path, why: text.why },
    ...(domains.column === null ? [] : [{ path: "data.domainColumn", value: domains.column, why: domains.columnWhy }]),
    ...(domains.hasUnnamed
      ? [{ path: "data.onUnlistedDomain", value: { domain: UNNAMED }, why: "some documents name no domain" }]
      : []),
    heldOut.length > 0
      ? { path: "data.heldOut", value: { files: heldOut }, why: "files that their names say are held out" }
      : heldOutShare(estimate),
    ...trainingSettings(estimate, request.machine),
    { path: "resample.budgetTokens", value: budget },
    { path: "resample.maxEpochs", value: 4 },
  ];
  const head = [
    `The mixture of ${publicLocation(request.source)}: ${shards.length} shards, about ${formatCount(estimate.tokens)} tokens (a guess from a sample; doremi count counts).`,
    "Written by doremi init. Every setting that is left out has its default; all of them are in the documentation.",
  ];
  const written = pipelineText(head, settings);
  parsePipeline(written, request.path); // the real loader's rules
  return {
    text: written,
    domains: domains.hasUnnamed ? [...domains.names, UNNAMED] : domains.names,
    allDomains: domains.column === null,
    domainsFrom: domains.why || domains.columnWhy,
    files,
    shards: shards.length,
    heldOutShards: domains.paths.length - shards.length,
    formats: [...new Set(withText.samples.map(formatOf))].sort(),
    textColumn: text.path,
    domainColumn: domains.column,
    tokenizer: tokenizer.value,
    estimate,
    notes,
  };
}

const leftOutOf = ({ extension, files, reason }: Survey["left"][number]) => leftOut(files, extension, reason);

function leftOut(files: number, extension: string, reason: string): string {
  return `left out ${files} ${files === 1 ? "file" : "files"}${extension === "" ? "" : ` ${extension}`}: ${reason}`;
}

function joinedSamples({ samples }: Survey): Samples {
  const joined = new Map<string, (string | null)[]>();
  for (const { texts } of samples)
    for (const [path, values] of texts) joined.set(path, [...(joined.get(path) ?? []), ...values]);
  return joined;
}

function formatOf({ format, compression }: Survey["samples"][number]): string {
  return compression === "none" ? format : `${format} (${compression})`;
}

async function decideText(
  { textColumn, source, takeLikeliest }: DraftRequest,
  samples: Samples,
  survey: Survey,
  ask: Ask,
) {
  const columns = [...new Set(survey.samples.flatMap((sample) => sample.columns))];
  const place = { file: shownLocation(source) };
  if (textColumn !== undefined) {
    requireColumn(textColumn, samples, columns, source, "--text-column");
    return { path: textColumn, why: "", others: [] };
  }
  const candidates = textCandidates(samples);
  if (candidates.length === 0) {
    throw new DoremiError(
      "bad-data",
      "no-text-column",
      `${place.file}: a shard must have a column of text, and none of these is one: ${columns.join(", ") || "(no columns)"}; write the text as strings`,
      place,
    );
  }
  const found = chooseText(candidates);
  if (found) return { ...found, others: otherTexts(candidates, found.path) };
  const choices = candidates.map(({ path, meanLength }) => ({
    value: path,
    about: `${Math.round(meanLength)} characters`,
  }));
  const usual = candidates[0]!.path;
  if (ask) {
    const path = await ask({ text: "Which column is the text?", choices, usual });
    return { path, why: "as you said", others: [] };
  }
  if (takeLikeliest)
    return { path: usual, why: "the longest of several that may be it", others: otherTexts(candidates, usual) };
  throw new DoremiError(
    "usage",
    "ambiguous-text-column",
    `${place.file}: several columns may be the text (${choices.map(({ value, about }) => `${value}: ${about}`).join(", ")}); say which with --text-column, or take the longest with --yes`,
    place,
  );
}

function requireColumn(path: string, samples: Samples, columns: readonly string[], source: string, flag: string): void {
  if (samples.has(path)) return;
  const file = shownLocation(source);
  const exists = columns.includes(path) ? "does not hold text" : "is in none of the shards that were looked at";
  throw new DoremiError(
    "bad-data",
    columns.includes(path) ? "wrong-column-type" : "missing-column",
    `${file}: ${flag} ${path} ${exists}; columns of text are ${[...samples.keys()].join(", ") || "none"}${didYouMean(path, [...samples.keys()])}`,
    { file },
  );
}

interface Domains {
  /** shards of the corpus: those that the patterns are to find */
  readonly paths: readonly string[];
  /** below the root */
  readonly patterns: readonly string[];
  readonly heldOut: readonly string[];
  readonly names: readonly string[];
  readonly column: string | null;
  /** some document has none */
  readonly hasUnnamed: boolean;
  readonly why: string;
  readonly columnWhy: string;
}

async function decideDomains(
  { source, domainColumn, takeLikeliest }: DraftRequest,
  listing: Listing,
  { shards, left }: Survey,
  samples: Samples,
  textColumn: string,
  ask: Ask,
): Promise<Domains> {
  const byColumn = (path: string, columnWhy: string): Domains => {
    const values = (samples.get(path) ?? []).filter((value) => value !== null);
    const names = [...new Set(values)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
    const hasUnnamed = values.length < (samples.get(path) ?? []).length;
    return { paths: shards, ...allFiles(shards), names, column: path, hasUnnamed, why: "", columnWhy };
  };
  if (domainColumn !== undefined) {
    requireColumn(domainColumn, samples, [...samples.keys()], source, "--domain-column");
    return byColumn(domainColumn, "");
  }
  if (listing.domains) {
    const names = [...new Set(listing.domains.flatMap((name) => name ?? []))].sort();
    const hasUnnamed = listing.domains.includes(null);
    const why = "the pattern that was given";
    return { paths: shards, patterns: [], heldOut: [], names, column: null, hasUnnamed, why, columnWhy: "" };
  }
  const ofPaths = listing.pattern === null ? domainsOfPaths(shards) : null;
  if (ofPaths) return fromPaths(ofPaths);
  const candidates = domainCandidates(samples, textColumn);
  const known = candidates.find(({ isKnown, values }) => isKnown && values.length > 1);
  if (known)
    return byColumn(known.path, `by its name and its ${known.values.length} values in the rows that were looked at`);
  const ofNames = listing.pattern === null ? domainsOfNames(shards) : null;
  if (ofNames) return fromPaths(ofNames);
  const single = candidates.find(({ isKnown }) => isKnown);
  if (single)
    return byColumn(single.path, `by its name; in the rows that were looked at it is ${single.values[0]} throughout`);
  const choices = candidates.map(({ path, values }) => ({ value: path, about: values.slice(0, 4).join(", ") }));
  if (ask && choices.length > 0) {
    const value = await ask({ text: "Which column names the domain?", choices, usual: choices[0]!.value });
    return byColumn(value, "as you said");
  }
  if (takeLikeliest && candidates[0] && candidates[0].values.length > 1)
    return byColumn(candidates[0].path, "the likeliest of the columns whose values repeat");
  const file = shownLocation(source);
  const leftOuts = left.map((kind) => `; ${leftOutOf(kind)}`).join("");
  const ofAll = domainsOfPaths(listing.paths.filter((path) => IS_SHARD.test(path)));
  if (ofAll && listing.pattern === null) {
    throw new DoremiError(
      "bad-data",
      "no-shard",
      `${file}: a mixture needs two domains at least; ${ofAll.why} would name ${ofAll.domains.slice(0, 8).join(", ")}, but of some of them no shard can be taken${leftOuts}`,
      { file },
    );
  }
  const columns = choices.map(({ value, about }) => `${value} (${about})`).join(", ");
  throw new DoremiError(
    "usage",
    "no-domain",
    `${file}: a mixture needs two domains at least, and neither folders, nor names of files, nor a column of known name say which; ` +
      `${choices.length > 0 ? `columns whose values repeat are ${columns}: name one with --domain-column` : `columns of text are ${[...samples.keys()].join(", ")}`}, ` +
      `or put {domain} into a pattern, such as 'corpus/{domain}/*'${leftOuts}`,
    { file },
  );
}

/** Held out by files only where every domain has one. */
function fromPaths(found: PathDomains): Domains {
  const heldOutDomains = new Set(found.paths.filter(isHeldOut).flatMap((path) => found.domainOf(path) ?? []));
  const covers = found.domains.every((name) => heldOutDomains.has(name));
  return {
    paths: found.paths,
    patterns: found.patterns,
    heldOut: covers ? found.heldOut : [],
    names: found.domains,
    column: null,
    hasUnnamed: found.hasUnnamed,
    why: found.why,
    columnWhy: "",
  };
}

/** Patterns as the pipeline file has them: relative to its folder, or of URIs. */
function filePatterns({ path, source }: DraftRequest, { root, pattern }: Listing, below: readonly string[]): string[] {
  const from = (location: string) => relativePath(dirname(path), location);
  const place = isRemote(root) ? root : escapeGlob(from(root));
  if (pattern !== null) return [isRemote(pattern) ? source : from(pattern)];
  return below.map((rest) => (place === "" ? rest : `${place}/${rest}`)); // the file may lie in the corpus itself
}

/** What was guessed must find the shards again and nothing else. */
async function checkPatterns(
  { path, source }: DraftRequest,
  { root }: Listing,
  shards: readonly string[],
  patterns: readonly string[],
): Promise<void> {
  const wanted = new Set(shards.map((shard) => `${root}/${shard}`));
  const found = new Set<string>();
  for (const pattern of patterns) {
    const { files } = await corpusFiles(absolutePattern(dirname(path), pattern));
    for (const file of files) found.add(isRemote(file.path) ? file.path : resolve(file.path));
  }
  const extra = [...found].find((file) => !wanted.has(file));
  const missed = [...wanted].find((file) => !found.has(file));
  if (extra === undefined && missed === undefined) return;
  const file = shownLocation(source);
  throw new DoremiError(
    "usage",
    "no-pattern",
    `${file}: no pattern was found for its shards alone (${patterns.join(", ")} ${extra === undefined ? `misses ${missed}` : `also finds ${extra}`}); give one in its place, such as 'corpus/{domain}/*.parquet'`,
    { file },
  );
}

async function decideTokenizer({ tokenizer, path }: DraftRequest, ask: Ask) {
  const usual = "r50k";
  const asked =
    tokenizer === undefined && ask
      ? await ask({
          text: "Tokenizer of the model that you will train: r50k, p50k, cl100k, o200k, or a tokenizer.json?",
          usual,
        })
      : undefined;
  const given = tokenizer ?? asked ?? usual;
  const why =
    tokenizer === undefined && (asked ?? usual) === usual
      ? "GPT-2's; better that of the model that you will train"
      : "";
  const descriptor = await resolveTokenizer(given, process.cwd());
  const isWritten = tiktokenName(given) !== undefined || isRemote(given);
  return { value: isWritten ? given : relativePath(dirname(path), resolve(given)), why, descriptor };
}

function nameOf(path: string, root: string): string {
  const stem = basename(path).replace(/\.ya?ml$/i, "");
  const name = stem === "pipeline" || stem === "" ? basename(root) : stem;
  return name.replace(/[^\p{L}\p{N}._-]+/gu, "-").slice(0, 100) || "mixture";
}
