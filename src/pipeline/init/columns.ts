/**
 * From values of a sample of rows: which column is the text, and which names the domain. Pure. What it cannot tell it
 * leaves open, with the candidates, for a person or a flag to say.
 */

/** Values of a column that holds text, of all the rows that were looked at. */
export type Samples = ReadonlyMap<string, readonly (string | null)[]>;

export interface TextCandidate {
  readonly path: string;
  /** characters of a value, nulls left out */
  readonly meanLength: number;
}

export interface DomainCandidate {
  readonly path: string;
  /** seen, sorted */
  readonly values: readonly string[];
  /** is it called as columns of domains usually are? */
  readonly isKnown: boolean;
}

/** Names that data sets give the text, the likeliest first; of a path, its last part. */
const TEXT_NAMES = ["text", "content", "raw_content", "document", "body", "article", "code", "passage", "contents"];
/** Names that data sets give the domain, the likeliest first. */
const DOMAIN_NAMES = [
  ...["domain", "pile_set_name", "redpajama_set_name", "set_name", "source", "subset", "subset_name", "data_source"],
  ...["dataset", "dataset_name", "corpus", "source_name", "category", "topic", "lang", "language"],
];
/** A column of known name is the text unless another is so many times as long. */
const MUCH_LONGER = 10;
/** Of columns whose names say nothing, the longest is the text where it is so many times as long as the next. */
const CLEARLY_LONGER = 3;
/** characters: what is shorter on average is a label and no document */
const SHORTEST_TEXT = 40;
const MOST_DOMAINS = 200;
const LONGEST_LABEL = 64;

/** The longest first. */
export function textCandidates(samples: Samples): TextCandidate[] {
  return [...samples]
    .map(([path, values]) => ({ path, meanLength: meanLength(values) }))
    .filter(({ meanLength }) => meanLength > 0)
    .sort((a, b) => b.meanLength - a.meanLength);
}

function meanLength(values: readonly (string | null)[]): number {
  const texts = values.filter((value) => value !== null);
  return texts.length === 0 ? 0 : texts.reduce((sum, text) => sum + text.length, 0) / texts.length;
}

/** The column of the text and why it is this; null where several may be it. */
export function chooseText(candidates: readonly TextCandidate[]): { path: string; why: string } | null {
  const [longest, next] = candidates;
  if (!longest) return null;
  if (!next) return { path: longest.path, why: "the only column that holds text" };
  const named = candidates
    .filter(({ path, meanLength }) => nameRank(TEXT_NAMES, path) >= 0 && meanLength * MUCH_LONGER >= longest.meanLength)
    .sort((a, b) => nameRank(TEXT_NAMES, a.path) - nameRank(TEXT_NAMES, b.path))[0];
  const length = ({ meanLength }: TextCandidate) => `${Math.round(meanLength)} characters on average`;
  if (named) return { path: named.path, why: `by its name, and ${length(named)}` };
  if (longest.meanLength >= SHORTEST_TEXT && longest.meanLength >= CLEARLY_LONGER * next.meanLength)
    return { path: longest.path, why: `the longest, ${length(longest)}` };
  return null;
}

/** Columns that hold documents, too, about as long as the one that is taken. */
export function otherTexts(candidates: readonly TextCandidate[], taken: string): string[] {
  const length = candidates.find(({ path }) => path === taken)!.meanLength;
  return candidates
    .filter(({ path, meanLength }) => path !== taken && meanLength >= SHORTEST_TEXT)
    .filter(({ meanLength }) => meanLength * CLEARLY_LONGER >= length)
    .map(({ path }) => path);
}

/** Columns whose values repeat as names of domains do; the likeliest first. */
export function domainCandidates(samples: Samples, textColumn: string): DomainCandidate[] {
  return [...samples]
    .filter(([path]) => path !== textColumn)
    .flatMap(([path, all]): DomainCandidate[] => {
      const values = all.filter((value) => value !== null);
      const distinct = [...new Set(values)].sort((a, b) => (a < b ? -1 : a > b ? 1 : 0));
      const isKnown = nameRank(DOMAIN_NAMES, path) >= 0;
      const areLabels = distinct.every((value) => value !== "" && value.length <= LONGEST_LABEL);
      const repeat = distinct.length <= Math.max(isKnown ? values.length / 2 : values.length / 4, 1);
      const isDomain = areLabels && repeat && distinct.length >= (isKnown ? 1 : 2) && distinct.length <= MOST_DOMAINS;
      return isDomain ? [{ path, values: distinct, isKnown }] : [];
    })
    .sort((a, b) => rankOr(a) - rankOr(b) || a.values.length - b.values.length);
}

function rankOr({ path }: DomainCandidate): number {
  const rank = nameRank(DOMAIN_NAMES, path);
  return rank < 0 ? DOMAIN_NAMES.length : rank;
}

function nameRank(names: readonly string[], path: string): number {
  return names.indexOf(path.slice(path.lastIndexOf(".") + 1).toLowerCase());
}
