/** RegMix's published runs, and what other programs computed from them: a few targets here, all where they are. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseCsv } from "../../src/lib/csv.ts";

export const HERE = fileURLToPath(new URL("../files/regmix/", import.meta.url));
const shared = join(
  process.env.DOREMI_SHARED ?? fileURLToPath(new URL("../../../shared", import.meta.url)),
  "golden/regmix",
);
/** undefined where the wider vectors are not there */
export const SHARED = existsSync(shared) ? shared : undefined;

export interface Scores {
  readonly spearman: number;
  readonly pearson: number;
  readonly mse: number;
}

export class RegMix {
  readonly #vectors: string;
  readonly #data: string;

  constructor(folder: string, data = folder) {
    this.#vectors = folder;
    this.#data = data;
  }

  table(name: string) {
    const path = join(this.#data, name);
    return parseCsv(readFileSync(path, "utf8"), name);
  }

  /** As written, not normalised: what the vectors were computed from. */
  mixtures(set: string): Float64Array[] {
    return this.table(`${set.replace("_", "_mixture_")}.csv`).rows.map((row) =>
      Float64Array.from(row.slice(1), Number),
    );
  }

  losses(set: string, target: string): Float64Array {
    const table = this.table(`${set.replace("_", "_pile_loss_")}.csv`);
    const column = table.header.indexOf(`metric/the_pile_${target}_val_loss`);
    return Float64Array.from(table.rows, (row) => Number(row[column]));
  }

  vectors<T>(name: string): T {
    return JSON.parse(readFileSync(join(this.#vectors, name), "utf8")) as T;
  }
}

/** The table's rows, each divided by its sum. */
export function normalised(mixtures: readonly Float64Array[]): Float64Array[] {
  return mixtures.map((mixture) => {
    const sum = mixture.reduce((total, weight) => total + weight, 0);
    return mixture.map((weight) => weight / sum);
  });
}
