/**
 * What a stack mixes: the folders of a materialized set with their shares in the unit that the stack samples in, checked
 * against the manifest. A share of tokens becomes a share of documents by p ∝ w ÷ (tokens per document), and a share of
 * packed sequences by s ∝ w · (ids ÷ tokens), since separators take up room in sequences too. Pure.
 */
import { sep } from "node:path";
import type { ErrorCode } from "../../lib/error-codes.ts";
import { DoremiError } from "../../lib/errors.ts";
import { isRemote } from "../../storage/location.ts";
import type { Manifest, ManifestDomain } from "../contract.ts";
import type { MaterializedGroup, MaterializedSet } from "../materialized.ts";
import type { Exporter, ExportRequest } from "./exporter.ts";

/**
 * What one draw of the stack takes from a domain: a document; a piece of the ids as they were written; or a piece of the
 * text as the stack tokenizes it, with an id of its own behind every document.
 */
export type Draw = "document" | "written-ids" | "packed-text";

export interface Mixing {
  readonly draw: Draw;
  /** false: a domain that runs out stays out, so repeats must be in the data */
  readonly repeatsItself: boolean;
  /** refuse domains of weight zero instead of leaving them out */
  readonly refusesZero?: boolean;
}

export interface Component {
  /** null: all domains, in the manifest's order */
  readonly domain: string | null;
  readonly group: MaterializedGroup;
  /** absolute, with `/` between its parts */
  readonly folder: string;
  /** of the unit that the stack samples in; all components together are 1 */
  readonly share: number;
}

export interface Mixture {
  readonly set: MaterializedSet;
  readonly components: readonly Component[];
  /** by domain, where the stack is told a share or the mixed order holds it; they sum to 1 */
  readonly proportions: Readonly<Record<string, number>>;
  readonly notes: readonly string[];
}

/** Totals that a share is converted by. */
export interface Sizes {
  readonly documents: number;
  readonly tokens: number;
  readonly separators: number;
}

/** @throws DoremiError needs-data, unreadable-format, set-disagrees, repeats-lost, needs-repeats, zero-weight, weight-not-zero, unknown-domain */
export function mixtureOf(exporter: Exporter, request: ExportRequest, mixing: Mixing): Mixture {
  const data = dataFor(exporter, request);
  const { manifest } = request;
  const { set } = data;
  checkSet(exporter, manifest, set);
  checkRepeats(exporter, manifest, set, mixing);
  return set.layout === "mixed"
    ? mixedSet(exporter, request, data, mixing)
    : setByDomain(exporter, request, data, mixing);
}

/** Shares of draws from shares of tokens; both sum to 1. Sizes of a share above 0 have tokens. */
export function convertShares(shares: readonly number[], sizes: readonly Sizes[], draw: Draw): number[] {
  const raw = shares.map((share, i) => (share === 0 ? 0 : (share * drawsOf(sizes[i]!, draw)) / sizes[i]!.tokens));
  const total = raw.reduce((sum, value) => sum + value, 0);
  return raw.map((value) => value / total);
}

/** How much of what is drawn there is: documents, or ids. */
function drawsOf({ documents, tokens, separators }: Sizes, draw: Draw): number {
  switch (draw) {
    case "document":
      return documents;
    case "written-ids":
      return tokens + separators;
    case "packed-text":
      return tokens + documents;
    default:
      return draw satisfies never;
  }
}

export function dataFor(exporter: Exporter, { data }: ExportRequest): NonNullable<ExportRequest["data"]> {
  const formats = exporter.reads.join(" or ");
  const remedy = `doremi materialize manifest.json --as ${exporter.reads[0]} --layout domain --output DIR`;
  if (data === null) {
    throw refusal(
      exporter,
      "usage",
      "needs-data",
      `needs the documents as ${formats}, and --data names none; write them with \`${remedy}\` and give --data DIR`,
    );
  }
  if (exporter.reads.includes(data.set.output)) return data;
  throw refusal(
    exporter,
    "usage",
    "unreadable-format",
    `reads ${formats}, and ${data.folder} holds ${data.set.output}; write a set that it reads with \`${remedy}\``,
  );
}

/** The stack, then the rule, what was found, and the remedy. */
export function refusal(
  exporter: Exporter,
  kind: "usage" | "bad-data",
  code: ErrorCode,
  message: string,
  file?: string,
): DoremiError {
  return new DoremiError(kind, code, `export to ${exporter.title}: ${message}`, file === undefined ? {} : { file });
}

/** Paths that the stack's parser would take apart or expand. */
export function refusePaths(exporter: Exporter, paths: readonly string[], pattern: RegExp, what: string): void {
  const bad = paths.find((path) => pattern.test(path));
  if (bad === undefined) return;
  throw refusal(
    exporter,
    "bad-data",
    "unusable-path",
    `its parser cannot hold ${what} in a path, got ${JSON.stringify(bad)}; move the data to a folder without`,
    bad,
  );
}

export const GLOB = /[*?[\]]/;
export const GLOB_NAMES = "the wildcards * ? [ ]";

/** Absolute path of what a record names, with `/` between its parts. */
export function absolute(folder: string, path: string): string {
  if (isRemote(path)) return path;
  const base = folder.split(sep).join("/").replace(/\/$/, "");
  return path === "." ? base : `${base}/${path}`;
}

/** Absolute paths of a component's files that end so, in order. */
export function filesOf(data: { readonly folder: string }, group: MaterializedGroup, ending: RegExp): string[] {
  return group.shards
    .flatMap((shard) => shard.files)
    .filter((file) => ending.test(file.path))
    .map((file) => absolute(data.folder, file.path));
}

function checkSet(exporter: Exporter, manifest: Manifest, set: MaterializedSet): void {
  const disagree = (found: string) =>
    refusal(
      exporter,
      "bad-data",
      "set-disagrees",
      `the materialized set must hold what the manifest selects, and ${found}; write it anew with \`doremi materialize\``,
    );
  const names = new Map(manifest.domains.map((domain) => [domain.name, domain]));
  for (const { domain, tokens } of set.groups) {
    if ((domain === null) !== (set.layout === "mixed")) throw disagree(`its groups are not of its layout`);
    if (domain === null) continue;
    const claimed = names.get(domain);
    if (claimed === undefined) throw disagree(`has a domain ${domain} that the manifest does not`);
    if (set.repeats === "written" && tokens !== claimed.achievedTokens) {
      throw disagree(`holds ${tokens} tokens of ${domain} instead of ${claimed.achievedTokens}`);
    }
  }
  if (set.repeats === "written" && set.tokens !== manifest.achievedTokens) {
    throw disagree(`holds ${set.tokens} tokens instead of ${manifest.achievedTokens}`);
  }
}

function checkRepeats(exporter: Exporter, manifest: Manifest, set: MaterializedSet, mixing: Mixing): void {
  if (set.repeats === "written") return;
  const repeated = manifest.domains.find((domain) => domain.epochs > 1);
  if (repeated === undefined) return;
  const remedy = "write the set with `doremi materialize --repeats written`";
  if (set.layout === "mixed") {
    const found = `${repeated.name} is repeated ${repeated.epochs.toFixed(2)} times by the manifest and once in the set`;
    throw refusal(
      exporter,
      "usage",
      "repeats-lost",
      `a set of all domains in one order must hold its repeats, and ${found}; ${remedy}, or with --layout domain`,
    );
  }
  if (mixing.repeatsItself) return;
  const found = `${repeated.name} has ${repeated.epochs.toFixed(2)} epochs and its documents stand once in the set`;
  throw refusal(
    exporter,
    "usage",
    "needs-repeats",
    `cannot repeat one domain more than another, and ${found}; ${remedy}`,
  );
}

function mixedSet(
  exporter: Exporter,
  { manifest, leaveOut }: ExportRequest,
  { folder, set }: NonNullable<ExportRequest["data"]>,
  { draw }: Mixing,
): Mixture {
  const held = manifest.domains.filter((domain) => domain.achievedTokens > 0);
  const absent = manifest.domains.filter((domain) => domain.achievedTokens === 0).map(({ name }) => name);
  checkLeftOut(exporter, manifest, leaveOut, absent);
  const shares = convertShares(
    held.map((domain) => domain.achievedTokens / manifest.achievedTokens),
    held.map((domain) => ({
      documents: domain.selectedDocuments,
      tokens: domain.achievedTokens,
      separators: set.separators > 0 ? domain.selectedDocuments : 0,
    })),
    draw,
  );
  return {
    set,
    components: set.groups.map((group) => ({ domain: null, group, folder: absolute(folder, group.folder), share: 1 })),
    proportions: Object.fromEntries(held.map((domain, i) => [domain.name, shares[i]!])),
    notes: [
      `The stack is told nothing of domains: the set holds them in the manifest's ${manifest.order} order, in the achieved token shares.`,
    ],
  };
}

function setByDomain(
  exporter: Exporter,
  { manifest, leaveOut }: ExportRequest,
  { folder, set }: NonNullable<ExportRequest["data"]>,
  mixing: Mixing,
): Mixture {
  const written = set.repeats === "written";
  const groups = new Map(set.groups.map((group) => [group.domain, group]));
  const weightOf = (domain: ManifestDomain) => (written ? domain.achievedWeight : domain.targetWeight);
  const told = manifest.domains.flatMap((domain) => {
    const group = groups.get(domain.name);
    return group !== undefined && group.tokens > 0 && weightOf(domain) > 0 ? [{ domain, group }] : [];
  });
  const untold = manifest.domains
    .filter((domain) => !told.some((one) => one.domain === domain))
    .map(({ name }) => name);
  checkLeftOut(exporter, manifest, leaveOut, untold);
  const unasked = untold.filter((name) => !leaveOut.includes(name));
  if (mixing.refusesZero && unasked.length > 0) {
    throw refusal(
      exporter,
      "usage",
      "zero-weight",
      `a source of weight zero is never exhausted and may keep an epoch from ending, and ${unasked.join(", ")} ` +
        `${unasked.length === 1 ? "has" : "have"} no weight; leave it out instead: ` +
        unasked.map((name) => `--leave-out ${JSON.stringify(name)}`).join(" "),
    );
  }
  const total = told.reduce((sum, { domain }) => sum + weightOf(domain), 0);
  const shares = convertShares(
    told.map(({ domain }) => weightOf(domain) / total),
    told.map(({ group }) => group),
    mixing.draw,
  );
  return {
    set,
    components: told.map(({ domain, group }, i) => ({
      domain: domain.name,
      group,
      folder: absolute(folder, group.folder),
      share: shares[i]!,
    })),
    proportions: Object.fromEntries(told.map(({ domain }, i) => [domain.name, shares[i]!])),
    notes: [
      written
        ? "The proportions are of the achieved token shares, and repeats stand in the data: one pass over all of it sees the manifest's selection."
        : "The proportions are of the manifest's target token shares, and each document stands once in the data: the stack repeats the domains that run out.",
      ...(untold.length > 0 ? [`Left out, for want of weight or of documents: ${untold.join(", ")}.`] : []),
    ],
  };
}

export function checkLeftOut(
  exporter: Exporter,
  manifest: Manifest,
  leaveOut: readonly string[],
  untold: readonly string[],
): void {
  for (const name of leaveOut) {
    if (!manifest.domains.some((domain) => domain.name === name)) {
      const known = manifest.domains.map((domain) => domain.name).join(", ");
      throw refusal(
        exporter,
        "usage",
        "unknown-domain",
        `--leave-out must name a domain, got ${name}; there are ${known}`,
      );
    }
    if (!untold.includes(name)) {
      throw refusal(
        exporter,
        "usage",
        "weight-not-zero",
        `--leave-out is for domains without weight, and ${name} has some: without it the mixture is another; ` +
          "resample with its weight at 0",
      );
    }
  }
}
