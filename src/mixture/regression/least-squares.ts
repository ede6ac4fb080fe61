/** Linear least squares by Householder reflections, which lose no digits to the square of the condition number. */

/** A pivot below this share of the largest says that a column is a combination of those before it. */
const RANK_TOLERANCE = 1e-10;

export interface LeastSquares {
  readonly coefficients: Float64Array;
  /** indices of columns that the earlier ones say all about; their coefficients are 0 */
  readonly dependent: readonly number[];
}

/**
 * argmin Σ (row · x − y)².
 *
 * @param rows of K numbers each; as many rows as columns at least  @param y one number a row
 */
export function leastSquares(rows: readonly Readonly<Float64Array>[], y: ArrayLike<number>): LeastSquares {
  const height = rows.length;
  const width = rows[0]?.length ?? 0;
  const columns = Array.from({ length: width }, (_, j) => Float64Array.from(rows, (row) => row[j]!));
  const right = Float64Array.from(y);
  const diagonal = new Float64Array(width);
  const dependent: number[] = [];
  const kept: number[] = [];
  const scale = Math.max(...columns.map((column) => norm(column, 0)), 0);
  for (const [j, column] of columns.entries()) {
    const from = kept.length; // rows above hold R
    const length = from < height ? norm(column, from) : 0;
    if (!(length > RANK_TOLERANCE * scale)) {
      dependent.push(j);
      continue;
    }
    // The reflection that takes the rest of this column to its first row; its vector replaces that rest.
    const head = column[from]! > 0 ? -length : length;
    column[from]! -= head;
    const square = norm(column, from) ** 2;
    for (const other of [...columns.slice(j + 1), right]) {
      let product = 0;
      for (let i = from; i < height; i++) product += column[i]! * other[i]!;
      const factor = (2 * product) / square;
      for (let i = from; i < height; i++) other[i]! -= factor * column[i]!;
    }
    diagonal[j] = head;
    kept.push(j);
  }
  const coefficients = new Float64Array(width);
  for (let at = kept.length - 1; at >= 0; at--) {
    let rest = right[at]!;
    for (const later of kept.slice(at + 1)) rest -= columns[later]![at]! * coefficients[later]!;
    coefficients[kept[at]!] = rest / diagonal[kept[at]!]!;
  }
  return { coefficients, dependent };
}

function norm(column: Readonly<Float64Array>, from: number): number {
  let sum = 0;
  for (let i = from; i < column.length; i++) sum += column[i]! ** 2;
  return Math.sqrt(sum);
}
