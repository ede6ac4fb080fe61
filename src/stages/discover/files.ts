/**
 * The files of a corpus: what a pattern finds, without what doremi itself wrote below it. A pipeline file often lies in its
 * corpus, and its results with it: `{domain}/**` would then find them as if they were shards.
 */
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { MATERIALIZED_NAME } from "../../manifest/materialized.ts";
import { storage } from "../../storage/files.ts";
import { isRemote } from "../../storage/location.ts";
import { type DomainFile, expandPattern } from "../../storage/pattern.ts";

/** Files that say that doremi wrote a folder: the output of a run, and a materialized set. */
const MARKS = [".doremi/run.json", MATERIALIZED_NAME];

export interface CorpusFiles {
  readonly files: readonly DomainFile[];
  /** folders that doremi wrote in which the pattern finds something too */
  readonly passedOver: readonly string[];
}

/**
 * Where a pattern begins in such a folder, it is meant.
 *
 * @throws DoremiError bad-pattern, and what the storage refuses
 */
export async function corpusFiles(pattern: string): Promise<CorpusFiles> {
  const found = await expandPattern(storage, pattern);
  return isRemote(pattern) ? { files: found, passedOver: [] } : withoutWritten(found, spelledFolder(pattern));
}

/** The folders that a pattern spells, with a slash at the end; escaped characters are what they are. */
function spelledFolder(pattern: string): string {
  const parts = pattern.split("/").slice(0, -1);
  const end = parts.findIndex((part) => /(?<!\\)[*?[\]{}]/.test(part));
  return `${parts.slice(0, end < 0 ? undefined : end).join("/")}/`.replace(/\\(.)/g, "$1");
}

/** @param base folder that all lie below, and which is meant even if doremi wrote it */
export async function withoutWritten<File extends { readonly path: string }>(
  files: readonly File[],
  base: string,
): Promise<{ files: readonly File[]; passedOver: readonly string[] }> {
  const known = new Map<string, string | null>();
  /** the highest folder at or above this one that bears a mark */
  const writtenAt = async (folder: string): Promise<string | null> => {
    if (folder.length < base.length || `${folder}/` === base || folder === dirname(folder)) return null;
    const before = known.get(folder);
    if (before !== undefined) return before;
    const written = (await writtenAt(dirname(folder))) ?? ((await isWritten(folder)) ? folder : null);
    known.set(folder, written);
    return written;
  };
  const kept: File[] = [];
  const passedOver = new Set<string>();
  for (const file of files) {
    const written = await writtenAt(dirname(file.path));
    if (written === null) kept.push(file);
    else passedOver.add(written);
  }
  return { files: kept, passedOver: [...passedOver] };
}

async function isWritten(folder: string): Promise<boolean> {
  for (const mark of MARKS) {
    const found = await stat(join(folder, mark)).catch(() => undefined);
    if (found?.isFile()) return true;
  }
  return false;
}

/** Ends a message that no file was found. */
export function passedOverText(passedOver: readonly string[]): string {
  if (passedOver.length === 0) return "";
  return `; what matches lies in ${passedOver.join(", ")}, which doremi wrote: spell its path in the pattern if it is meant`;
}

/**
 * Ends a message that no file was found: by what is there in place of files.
 * @param byPath the pattern is to say the domain
 */
export async function noMatchText(pattern: string, passedOver: readonly string[], byPath: boolean): Promise<string> {
  if (passedOver.length > 0 || isRemote(pattern) || pattern.endsWith("/**")) return passedOverText(passedOver);
  const open = pattern.replace(/\/+$/, "");
  for (const below of ["*", "**"]) {
    const { files } = await corpusFiles(`${open}/${below}`);
    if (files.length === 0) continue;
    const named = byPath && !open.includes("{domain}");
    const folders = named ? open.replace(/(?<=\/)\*$/, "{domain}") : open;
    const domains = named ? ", with {domain} where the path names the domain" : "";
    return `; what matches are folders: let the pattern go on to the files in them${domains}, such as ${folders}/${below}`;
  }
  return "";
}
