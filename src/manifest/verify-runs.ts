/**
 * Verification of each row of a selection by itself: that it is rows of one row group of a file of the manifest, all
 * documents of its domain, none held out, none taken before in its epoch, with the tokens that it says; and the sums.
 */
import type { Manifest } from "./contract.ts";
import type { ProblemList } from "./problems.ts";
import type { Recounted } from "./recounted.ts";
import { startsOf } from "./select.ts";
import { unitsOf } from "./selection/units.ts";
import type { SelectionRuns } from "./selection-runs.ts";
import { TakenRows } from "./taken-rows.ts";

export class RunChecker {
  /** rows of the selection so far */
  count = 0;
  /** of them whose documents were compared with the files */
  compared = 0;
  readonly taken: TakenRows;
  readonly #manifest: Manifest;
  readonly #recounted: Recounted | null;
  readonly #problems: ProblemList;
  readonly #groupStarts: readonly number[][];
  readonly #epochs: readonly number[];
  readonly #documents: Float64Array;
  readonly #tokens: Float64Array;

  constructor(manifest: Manifest, recounted: Recounted | null, problems: ProblemList) {
    this.#manifest = manifest;
    this.#recounted = recounted;
    this.#problems = problems;
    this.taken = new TakenRows(manifest.files);
    this.#groupStarts = manifest.files.map((file) => startsOf(file.rowGroups));
    this.#epochs = manifest.domains.map(({ documents, selectedDocuments }) =>
      documents === 0 ? 0 : Math.ceil(selectedDocuments / documents),
    );
    this.#documents = new Float64Array(manifest.domains.length);
    this.#tokens = new Float64Array(manifest.domains.length);
  }

  get documents(): number {
    return this.#documents.reduce((sum, documents) => sum + documents, 0);
  }

  /** @returns whether the row is of a file and a domain of the manifest */
  check(runs: SelectionRuns, run: number): boolean {
    this.count += 1;
    const [domain, file] = [runs.domain[run]!, runs.file[run]!];
    if (domain < 0) {
      this.#report(runs, run, "unknown-domain", `the manifest has no domain “${runs.nameOf(run).domain}”`);
      return false;
    }
    if (file < 0) {
      this.#report(runs, run, "unknown-file", "the manifest has no such file");
      return false;
    }
    const [rowStart, rowEnd, rowGroup] = [runs.rowStart[run]!, runs.rowEnd[run]!, runs.rowGroup[run]!];
    this.#tokens[domain]! += runs.tokens[run]!;
    this.#documents[domain]! += Math.max(0, rowEnd - rowStart);
    const starts = this.#groupStarts[file]!;
    const inside =
      rowGroup + 1 < starts.length &&
      rowStart >= starts[rowGroup]! &&
      rowStart < rowEnd &&
      rowEnd <= starts[rowGroup + 1]!;
    if (inside) this.#checkDocuments(runs, run);
    else this.#report(runs, run, "row-range", `must be a range of rows inside row group ${rowGroup}`);
    return true;
  }

  #checkDocuments(runs: SelectionRuns, run: number): void {
    const [domain, file, rowStart, rowEnd] = [
      runs.domain[run]!,
      runs.file[run]!,
      runs.rowStart[run]!,
      runs.rowEnd[run]!,
    ];
    if (this.#recounted?.has(file)) {
      this.compared += 1;
      const found = this.#recounted.documents(domain, file, rowStart, rowEnd);
      if (found === null) {
        this.#report(runs, run, "not-a-document", `not every row is a document of “${runs.nameOf(run).domain}”`);
        return;
      }
      if (found.heldOut > 0) {
        this.#report(runs, run, "held-out-selected", `${found.heldOut} of its documents are held out`);
      }
      if (found.tokens !== runs.tokens[run]) {
        const message = `the selection says ${runs.tokens[run]} tokens, they are ${found.tokens}`;
        this.#report(runs, run, "row-tokens", message);
      }
    }
    const epoch = runs.epoch[run]!;
    if (epoch >= this.#epochs[domain]!) {
      const says = `the documents that the manifest selects of its domain make ${this.#epochs[domain]} epochs`;
      this.#report(runs, run, "epoch", `is of epoch ${epoch}, counted from 0, and ${says}`);
    } else if (this.taken.take(file, epoch, rowStart, rowEnd)) {
      this.#report(runs, run, "overlap", `has rows that were taken before in epoch ${epoch}`);
    }
  }

  #report(runs: SelectionRuns, run: number, code: string, message: string): void {
    const { file, domain } = runs.nameOf(run);
    const where = `selection row ${runs.start + run} (${file}, rows ${runs.rowStart[run]} to ${runs.rowEnd[run]})`;
    this.#problems.add(code, `${where}: ${message}`, { file, rowGroup: runs.rowGroup[run]!, domain });
  }

  /** The sums, when all rows were seen. */
  finish(): void {
    const problems = this.#problems;
    const { selection, domains } = this.#manifest;
    problems.expectSame("selection-rows", "selection: rows", selection.rows, this.count);
    problems.expectSame("selection-documents", "selection: documents", selection.documents, this.documents);
    for (const [i, { name, selectedDocuments, achievedTokens, targetTokens }] of domains.entries()) {
      const [documents, tokens] = [this.#documents[i]!, this.#tokens[i]!];
      const place = { domain: name };
      problems.expectSame("selected-documents", `“${name}”: selectedDocuments`, selectedDocuments, documents, place);
      problems.expectSame("achieved-tokens", `“${name}”: achievedTokens`, achievedTokens, tokens, place);
      if (!this.#recounted?.complete) continue;
      const longest = this.#longestUnit(i);
      if (Math.abs(tokens - targetTokens) > longest) {
        const { granularity } = this.#manifest;
        const message = `“${name}”: ${tokens} tokens are more than one ${granularity} (${longest}) off the target ${targetTokens}`;
        problems.add("off-target", message, place);
      }
    }
  }

  /** Tokens of the longest of what is chosen whole. */
  #longestUnit(place: number): number {
    const { index } = this.#recounted!;
    const domain = index.domains[place]!;
    if (this.#manifest.granularity === "document") return domain.longestTokens;
    const units = unitsOf(domain, this.#manifest.granularity, index.files);
    let longest = 0;
    for (let unit = 0; unit < units.count; unit++) longest = Math.max(longest, units.tokensOf(unit));
    return longest;
  }
}
