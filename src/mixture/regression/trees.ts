/**
 * Gradient boosting of regression trees on squared error, with exact splits: every threshold between two values that
 * occur is tried, as for the few hundred runs that mixtures are fitted on one can. Trees grow best first. It takes jumps
 * and interactions that a formula does not, and knows nothing outside the mixtures that it has seen.
 */
import type { Law, Mixture } from "./law.ts";

export interface TreeSettings {
  /** trees; each is fitted to what those before it leave */
  readonly rounds: number;
  /** share of each tree that counts */
  readonly learningRate: number;
  readonly maxLeaves: number;
  /** splits between the root and a leaf, at most */
  readonly maxDepth: number;
  /** runs in a leaf, at least */
  readonly minLeafRuns: number;
}

/** Near to what LightGBM does with RegMix's settings, in a third of the trees. */
export const TREE_DEFAULTS: TreeSettings = {
  rounds: 300,
  learningRate: 0.03,
  maxLeaves: 31,
  maxDepth: Number.POSITIVE_INFINITY,
  minLeafRuns: 20,
};

/** Weights nearer than this are one value: no threshold comes between them. */
const SAME = 1e-7;

export interface Tree {
  /** domain that the node asks for; −1 = leaf */
  readonly feature: number[];
  /** left where weight ≤ threshold */
  readonly threshold: number[];
  readonly left: number[];
  readonly right: number[];
  /** mean of the node's runs */
  readonly value: number[];
}

export interface BoostedTrees extends Law {
  /** the mean loss, which the trees correct */
  readonly start: number;
  readonly trees: readonly Tree[];
}

export function fitTrees(
  mixtures: readonly Mixture[],
  losses: ArrayLike<number>,
  settings: TreeSettings = TREE_DEFAULTS,
): BoostedTrees {
  const columns = columnsOf(mixtures);
  const sorted = columns.map((column) =>
    Int32Array.from(column.keys()).sort((a, b) => column[a]! - column[b]! || a - b),
  );
  const rest = Float64Array.from(losses);
  const start = rest.reduce((sum, loss) => sum + loss, 0) / rest.length;
  for (let row = 0; row < rest.length; row++) rest[row]! -= start;
  const trees: Tree[] = [];
  for (let round = 0; round < settings.rounds; round++) {
    const { tree, leaves } = growTree(columns, sorted, rest, settings);
    for (const { node, rows } of leaves) {
      for (const row of rows) rest[row]! -= settings.learningRate * tree.value[node]!;
    }
    trees.push(tree);
  }
  const predict = (mixture: Mixture) => {
    const weights = Float32Array.from(mixture);
    let sum = 0;
    for (const tree of trees) sum += leafValue(tree, weights);
    return start + settings.learningRate * sum;
  };
  return { start, trees, predict };
}

/** Weights by domain, in float32: a weight that equals a threshold but for rounding goes left, whoever rounded it. */
function columnsOf(mixtures: readonly Mixture[]): Float32Array[] {
  return Array.from(mixtures[0]!, (_, domain) => Float32Array.from(mixtures, (mixture) => mixture[domain]!));
}

function leafValue(tree: Tree, weights: Readonly<Float32Array>): number {
  let node = 0;
  while (tree.feature[node]! >= 0) {
    node = weights[tree.feature[node]!]! <= tree.threshold[node]! ? tree.left[node]! : tree.right[node]!;
  }
  return tree.value[node]!;
}

interface Leaf {
  readonly node: number;
  readonly depth: number;
  /** the node's rows, ascending by each domain's weight */
  readonly sorted: readonly Int32Array[];
  readonly rows: Int32Array;
  /** the best that can be done with it; undefined where nothing can */
  readonly split: Split | undefined;
}

interface Split {
  readonly feature: number;
  readonly threshold: number;
  /** by how much Σ (value − mean)² of the node falls, ÷ its rows */
  readonly gain: number;
}

type Columns = readonly Readonly<Float32Array>[];

function growTree(
  columns: Columns,
  sorted: readonly Int32Array[],
  values: Readonly<Float64Array>,
  { maxLeaves, maxDepth, minLeafRuns }: TreeSettings,
): { tree: Tree; leaves: Leaf[] } {
  const tree: Tree = { feature: [], threshold: [], left: [], right: [], value: [] };
  const goesLeft = new Uint8Array(values.length);
  const addLeaf = (depth: number, rowsByDomain: readonly Int32Array[]): Leaf => {
    const rows = rowsByDomain[0]!;
    const node = tree.feature.push(-1) - 1;
    tree.threshold.push(0);
    tree.left.push(-1);
    tree.right.push(-1);
    tree.value.push(sumOf(rows, values) / rows.length);
    const split = depth < maxDepth ? bestSplit(columns, rowsByDomain, values, minLeafRuns) : undefined;
    return { node, depth, sorted: rowsByDomain, rows, split };
  };
  let leaves = [addLeaf(0, sorted)];
  while (leaves.length < maxLeaves) {
    const next = leaves.reduce((best, leaf) => ((leaf.split?.gain ?? 0) > (best.split?.gain ?? 0) ? leaf : best));
    if (!next.split) break;
    const { feature, threshold } = next.split;
    const column = columns[feature]!;
    let toLeft = 0;
    for (const row of next.rows) {
      goesLeft[row] = column[row]! <= threshold ? 1 : 0;
      toLeft += goesLeft[row]!;
    }
    const halves = next.sorted.map((rows) => partition(rows, goesLeft, toLeft));
    const left = addLeaf(
      next.depth + 1,
      halves.map(([half]) => half),
    );
    const right = addLeaf(
      next.depth + 1,
      halves.map(([, half]) => half),
    );
    tree.feature[next.node] = feature;
    tree.threshold[next.node] = threshold;
    tree.left[next.node] = left.node;
    tree.right[next.node] = right.node;
    leaves = [...leaves.filter((leaf) => leaf !== next), left, right];
  }
  return { tree, leaves };
}

function sumOf(rows: Int32Array, values: Readonly<Float64Array>): number {
  let sum = 0;
  for (let i = 0; i < rows.length; i++) sum += values[rows[i]!]!;
  return sum;
}

/** The rows that go left and those that go right, each in their order. */
function partition(rows: Int32Array, goesLeft: Uint8Array, toLeft: number): [Int32Array, Int32Array] {
  const left = new Int32Array(toLeft);
  const right = new Int32Array(rows.length - toLeft);
  let [l, r] = [0, 0];
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i]!;
    if (goesLeft[row] === 1) left[l++] = row;
    else right[r++] = row;
  }
  return [left, right];
}

function bestSplit(
  columns: Columns,
  sorted: readonly Int32Array[],
  values: Readonly<Float64Array>,
  minLeafRuns: number,
): Split | undefined {
  const rows = sorted[0]!.length;
  if (rows < 2 * minLeafRuns) return undefined;
  const total = sumOf(sorted[0]!, values);
  let best: Split | undefined;
  let bestGain = 0;
  for (let feature = 0; feature < sorted.length; feature++) {
    const order = sorted[feature]!;
    const column = columns[feature]!;
    let leftSum = 0;
    let above = column[order[0]!]!;
    for (let left = 1; left <= rows - minLeafRuns; left++) {
      leftSum += values[order[left - 1]!]!;
      const below = above;
      above = column[order[left]!]!;
      if (left < minLeafRuns || above <= below + SAME) continue;
      const right = rows - left;
      const difference = (right * leftSum - left * (total - leftSum)) / rows;
      const gain = (difference * difference) / (left * right);
      if (gain <= bestGain) continue;
      bestGain = gain;
      best = { feature, threshold: below / 2 + above / 2, gain };
    }
  }
  return best;
}
