/**
 * Verification of the order of a selection, from its rows alone: domain after domain or every prefix in proportion,
 * epochs one after another, and files and rows as they lie where nothing is shuffled.
 */
import type { Manifest } from "./contract.ts";
import type { ProblemList } from "./problems.ts";
import { pieceOf } from "./selection/settings.ts";
import type { SelectionRuns } from "./selection-runs.ts";

export class OrderChecker {
  readonly #manifest: Manifest;
  readonly #problems: ProblemList;
  readonly #proportion: ProportionChecker | null;
  /** the last run of each domain; −1 before the first */
  readonly #epoch: Float64Array;
  readonly #file: Float64Array;
  readonly #row: Float64Array;
  #domain = 0;

  constructor(manifest: Manifest, problems: ProblemList) {
    this.#manifest = manifest;
    this.#problems = problems;
    this.#proportion = manifest.order === "mixed" ? new ProportionChecker(manifest, problems) : null;
    const none = () => new Float64Array(manifest.domains.length).fill(-1);
    [this.#epoch, this.#file, this.#row] = [none(), none(), none()];
  }

  /** @param run of a domain and a file that the manifest has */
  check(runs: SelectionRuns, run: number): void {
    const domain = runs.domain[run]!;
    const [epoch, file, rowStart] = [runs.epoch[run]!, runs.file[run]!, runs.rowStart[run]!];
    if (this.#manifest.order === "domain") {
      if (domain < this.#domain) this.#misplaced(runs, run, "must stand before those of the domains behind it");
      this.#domain = domain;
    }
    const lastEpoch = this.#epoch[domain]!;
    if (epoch < lastEpoch) this.#misplaced(runs, run, `is of epoch ${epoch}, and epoch ${lastEpoch} began before it`);
    const lies = file - this.#file[domain]! || rowStart - this.#row[domain]!;
    if (this.#manifest.shuffle === "none" && epoch === lastEpoch && lies < 0) {
      this.#misplaced(runs, run, "must be sorted by file and row, since nothing is shuffled");
    }
    this.#epoch[domain] = epoch;
    this.#file[domain] = file;
    this.#row[domain] = rowStart;
    this.#proportion?.check(runs, run);
  }

  finish(): void {
    this.#proportion?.finish();
  }

  #misplaced(runs: SelectionRuns, run: number, rule: string): void {
    const { file, domain } = runs.nameOf(run);
    const rows = `rows ${runs.rowStart[run]} to ${runs.rowEnd[run]}`;
    this.#problems.add("order", `selection row ${runs.start + run} (${file}, ${rows}, “${domain}”): ${rule}`, {
      file,
      domain,
    });
  }
}

/**
 * The bound of the mixed order (see FairQueue): behind every piece −L ≤ c − P·T ÷ ΣT ≤ (1 − T ÷ ΣT)·L_d for c tokens of a
 * domain among the first P of all. A domain is furthest ahead behind its own rows and furthest behind before them, so
 * it is looked at only there. How long pieces are is known at the end; inside a piece the bounds hold as well.
 */
class ProportionChecker {
  readonly #manifest: Manifest;
  readonly #problems: ProblemList;
  readonly #total: number;
  readonly #given: Float64Array;
  readonly #longest: Float64Array;
  /** tokens ahead of the share at most, and behind it; with the row of the selection where */
  readonly #ahead: Extreme[];
  readonly #behind: Extreme[];
  #tokens = 0; // of all
  #open = { domain: -1, epoch: -1, file: -1, rowGroup: -1, tokens: 0 };

  constructor(manifest: Manifest, problems: ProblemList) {
    this.#manifest = manifest;
    this.#problems = problems;
    this.#total = manifest.domains.reduce((sum, domain) => sum + domain.achievedTokens, 0);
    this.#given = new Float64Array(manifest.domains.length);
    this.#longest = new Float64Array(manifest.domains.length);
    this.#ahead = manifest.domains.map(() => new Extreme());
    this.#behind = manifest.domains.map(() => new Extreme());
  }

  check(runs: SelectionRuns, run: number): void {
    const domain = runs.domain[run]!;
    const tokens = runs.tokens[run]!;
    this.#behind[domain]!.meet(-this.#lead(domain), runs.start + run);
    this.#given[domain]! += tokens;
    this.#tokens += tokens;
    this.#ahead[domain]!.meet(this.#lead(domain), runs.start + run);
    this.#measure(runs, run);
  }

  /** Tokens beyond the domain's share of what was given. */
  #lead(domain: number): number {
    if (this.#total === 0) return 0;
    return this.#given[domain]! - (this.#tokens * this.#manifest.domains[domain]!.achievedTokens) / this.#total;
  }

  /** A piece is no longer than what of its kind follows each other: a run, or the runs of a row group or shard. */
  #measure(runs: SelectionRuns, run: number): void {
    const [domain, epoch, file, rowGroup] = [runs.domain[run]!, runs.epoch[run]!, runs.file[run]!, runs.rowGroup[run]!];
    const piece = pieceOf(this.#manifest);
    const open = this.#open;
    const goesOn =
      piece !== "document" &&
      open.domain === domain &&
      open.epoch === epoch &&
      open.file === file &&
      (piece === "shard" || open.rowGroup === rowGroup);
    const tokens = runs.tokens[run]! + (goesOn ? open.tokens : 0);
    this.#open = { domain, epoch, file, rowGroup, tokens };
    this.#longest[domain] = Math.max(this.#longest[domain]!, tokens);
  }

  finish(): void {
    const longest = this.#longest.reduce((a, b) => Math.max(a, b), 0);
    const slack = 1 + this.#total * 2 ** -48; // places in the fluid are rounded
    for (const [i, { name, achievedTokens }] of this.#manifest.domains.entries()) {
      const most = (1 - achievedTokens / Math.max(1, this.#total)) * this.#longest[i]!;
      const ahead = this.#ahead[i]!;
      const behind = this.#behind[i]!;
      if (ahead.value > most + slack) this.#outside(ahead, name, "ahead of", most);
      if (behind.value > longest + slack) this.#outside(behind, name, "behind", longest);
    }
  }

  #outside({ value, row }: Extreme, domain: string, side: string, most: number): void {
    const found = `“${domain}” is ${Math.round(value)} tokens ${side} its share of the rows so far`;
    this.#problems.add("proportion", `selection row ${row}: ${found}, at most ${Math.ceil(most)} in a mixed order`, {
      domain,
    });
  }
}

class Extreme {
  value = 0;
  row = 0;

  meet(value: number, row: number): void {
    if (value <= this.value) return;
    this.value = value;
    this.row = row;
  }
}
