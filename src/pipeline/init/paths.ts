/**
 * What the paths of a corpus say: which part of them names the domain, which files are held out by their names, and the
 * patterns that say so. Pure: from paths to patterns.
 */
import { escapeGlob, extensionOf } from "./listing.ts";

/** Words that name a part of a data set and no domain. */
const SPLITS = /^(train(ing)?|all|full|complete|default)$/i;
const HELD_OUT = /^(valid(ation)?|val|dev|test(ing)?|eval(uation)?|held-?out)$/i;
/** Words that name what every shard is. */
const SHARD_WORDS =
  /^(data|part|shard|chunk|file|batch|split|dataset|corpus|train|parquet|arrow|jsonl?|output|raw|docs?)$/i;
/** One file of so many may lie above the folders of the domains. */
const MOST_STRAY = 3;
/** Keys of hive paths that name domains, the likeliest first. */
const HIVE_KEYS = ["domain", "source", "subset", "dataset", "corpus", "category", "lang", "language"];

export interface PathDomains {
  /** files that the patterns find, those that are held out among them */
  readonly paths: readonly string[];
  /** below the root; {domain} in it, and an extension or several at its end */
  readonly patterns: readonly string[];
  readonly heldOut: readonly string[];
  /** of each file that is not held out, in order */
  readonly domainOf: (path: string) => string | null;
  /** domains, sorted */
  readonly domains: readonly string[];
  /** in words, for the comment: what names the domain */
  /** a path names none: its value is null or empty */
  readonly hasUnnamed: boolean;
  readonly why: string;
}

/** Is it held out, by the name of a folder or the first word of its own? */
export function isHeldOut(path: string): boolean {
  return heldOutPart(path) !== undefined;
}

function heldOutPart(path: string): { readonly at: number; readonly word: string } | undefined {
  const parts = path.split("/");
  for (const [at, part] of parts.entries()) {
    const word = at === parts.length - 1 ? firstWord(part) : part;
    if (HELD_OUT.test(word)) return { at, word };
  }
  return undefined;
}

/** Patterns for files whose domain no path says: all of them, by extension. */
export function allFiles(paths: readonly string[]): { readonly patterns: string[]; readonly heldOut: string[] } {
  const [only = ""] = paths;
  if (paths.length === 1) return { patterns: [escapeGlob(only)], heldOut: [] };
  const kept = paths.filter((path) => !isHeldOut(path));
  return { patterns: [withExtensions("**/*", kept)], heldOut: heldOutPatterns(paths, "") };
}

/** The part of the paths that names domains; null where none does. */
export function domainsOfPaths(paths: readonly string[]): PathDomains | null {
  const kept = paths.filter((path) => !isHeldOut(path));
  return hiveDomains(paths, kept) ?? folderDomains(paths, kept);
}

function hiveDomains(paths: readonly string[], kept: readonly string[]): PathDomains | null {
  const parts = kept.map((path) => path.split("/").slice(0, -1));
  const keys = new Set(parts.flat().flatMap((part) => /^([^=]+)=/.exec(part)?.[1] ?? []));
  const known = [...keys].sort((a, b) => rank(a) - rank(b));
  for (const key of known) {
    const at = parts[0]!.findIndex((part) => part.startsWith(`${key}=`));
    if (at < 0 || parts.some((part) => !part[at]?.startsWith(`${key}=`))) continue;
    const domainOf = (path: string) => decoded(path.split("/")[at]!.slice(key.length + 1));
    const before = commonFolders(kept, at);
    const found = result(paths, kept, domainOf, `${before}${escapeGlob(key)}={domain}/`, `${key}= in the paths`);
    if (found.domains.length > 1) return found;
  }
  return null;
}

function rank(key: string): number {
  const at = HIVE_KEYS.indexOf(key.toLowerCase());
  return at < 0 ? HIVE_KEYS.length : at;
}

function decoded(name: string): string | null {
  if (name === "__HIVE_DEFAULT_PARTITION__") return null;
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

/**
 * The first level of folders that differ, unless their names are numbers or splits. Files above that level, as those
 * that describe a corpus, are no part of it where they are few.
 */
function folderDomains(paths: readonly string[], kept: readonly string[]): PathDomains | null {
  const parts = kept.map((path) => path.split("/").slice(0, -1));
  for (let at = 0; ; at++) {
    const deep = kept.filter((_, i) => parts[i]!.length > at);
    if (deep.length === 0 || (kept.length - deep.length) * MOST_STRAY > kept.length) return null;
    const names = new Set(deep.map((path) => path.split("/")[at]!));
    if (names.size === 1) continue;
    const isDomains = [...names].every((name) => !/^[\d._-]+$/.test(name) && !SPLITS.test(name) && !name.includes("="));
    if (!isDomains) continue;
    const before = commonFolders(deep, at);
    const below = [...deep, ...paths.filter(isHeldOut)];
    return result(below, deep, (path) => path.split("/")[at]!, `${before}{domain}/`, "the folder that a file lies in");
  }
}

/** Names of files of which the first part differs in words: books-00000.parquet, arxiv.jsonl. */
export function domainsOfNames(paths: readonly string[]): PathDomains | null {
  if (paths.some(isHeldOut)) return null; // their names have the split where the others have the domain
  const kept = paths;
  const stems = kept.map((path) => stemOf(path));
  if (stems.some((stem) => stem === "" || /^[\d._-]*$/.test(stem) || SHARD_WORDS.test(stem))) return null;
  const hasNumber = kept.map((path, i) => baseOf(path).slice(stems[i]!.length) !== extensionOf(path));
  if (new Set(hasNumber).size > 1 || new Set(stems).size < 2) return null;
  // `{domain}-*` ends at the first dash, so that a name with one of its own is not found again.
  const separator = hasNumber[0] ? baseOf(kept[0]!)[stems[0]!.length]! : "";
  if (hasNumber[0] && stems.some((stem, i) => stem.includes(separator) || baseOf(kept[i]!)[stem.length] !== separator))
    return null;
  const before = kept.every((path) => !path.includes("/")) ? "" : "**/";
  const domainOf = (path: string) => stemOf(path);
  const name = hasNumber[0] ? `{domain}${separator}*` : "{domain}";
  const domains = [...new Set(stems)].sort(byCodeUnit);
  return {
    paths,
    patterns: [withExtensions(`${before}${name}`, kept)],
    heldOut: [],
    domainOf,
    domains,
    hasUnnamed: false,
    why: "the first part of a file's name",
  };
}

function result(
  paths: readonly string[],
  kept: readonly string[],
  domainOf: (path: string) => string | null,
  prefix: string,
  why: string,
): PathDomains {
  const domains = [...new Set(kept.flatMap((path) => domainOf(path) ?? []))].sort(byCodeUnit);
  const below = kept.every((path) => path.split("/").length === prefix.split("/").length) ? "" : "**/";
  return {
    paths,
    patterns: [withExtensions(`${prefix}${below}*`, kept)],
    heldOut: heldOutPatterns(paths, prefix),
    domainOf,
    domains,
    hasUnnamed: kept.some((path) => domainOf(path) === null),
    why,
  };
}

/** Folders before the level, named where all files share them. */
function commonFolders(paths: readonly string[], level: number): string {
  const first = paths[0]!.split("/").slice(0, level);
  return first
    .map((part, i) => (paths.every((path) => path.split("/")[i] === part) ? `${escapeGlob(part)}/` : "*/"))
    .join("");
}

function withExtensions(pattern: string, paths: readonly string[]): string {
  const extensions = [...new Set(paths.map(extensionOf))].sort(byCodeUnit);
  const [only = ""] = extensions;
  return `${pattern}${extensions.length === 1 ? only : `{${extensions.join(",")}}`}`;
}

/** A pattern for each way in which files are held out, with the domain where the prefix has it. */
function heldOutPatterns(paths: readonly string[], prefix: string): string[] {
  const folders = prefix.split("/").slice(0, -1);
  const patterns = paths.filter(isHeldOut).map((path) => {
    const { at, word } = heldOutPart(path)!;
    const isFile = at === path.split("/").length - 1;
    const name = `${isFile ? `${word}*` : `${word}/**/*`}${extensionOf(path)}`;
    if (at >= folders.length) return `${prefix}${at === folders.length ? "" : "**/"}${name}`;
    // a split that the domains' folders lie in: valid/books beside train/books
    return [...folders.slice(0, at), word, ...folders.slice(at + 1), "**", `*${extensionOf(path)}`].join("/");
  });
  return [...new Set(patterns)].sort(byCodeUnit);
}

function baseOf(path: string): string {
  return path.slice(path.lastIndexOf("/") + 1);
}

function firstWord(name: string): string {
  return /^[\p{L}]+(?:-out)?/u.exec(name)?.[0] ?? "";
}

/** The name without its extension and the numbers at its end: books of books-00000-of-00004.parquet. */
function stemOf(path: string): string {
  const name = baseOf(path);
  const bare = name.slice(0, name.length - extensionOf(path).length);
  return bare
    .replace(/[-_.](?:part|shard|chunk|train)?[-_.]?\d+(?:[-_.]of[-_.]\d+)?$/i, "")
    .replace(/[-_.](?:part|shard|chunk|train)$/i, "");
}

const byCodeUnit = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
