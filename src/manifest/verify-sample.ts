/** Which files of a manifest a sampled verification counts again. Pure. */
import { DoremiError } from "../lib/errors.ts";
import { Rng } from "../lib/rng.ts";
import type { Manifest } from "./contract.ts";

export interface SampleRequest {
  /** of the files, above 0 and below 1; at least one file */
  readonly share: number;
  /** another seed, other files; default: the manifest's */
  readonly seed?: number;
}

export interface Sample {
  readonly share: number;
  readonly seed: number;
}

/** @throws DoremiError bad-sample */
export function checkSample({ share, seed }: SampleRequest): void {
  if (share > 0 && share < 1 && (seed === undefined || (Number.isSafeInteger(seed) && seed >= 0))) return;
  throw new DoremiError(
    "usage",
    "bad-sample",
    `sample: must be a share of the files above 0 and below 1, and its seed an integer from 0 on, got ${share} and ` +
      `${seed ?? "no seed"}; leave it out to verify all`,
  );
}

/** Indices into manifest.files, ascending. */
export function sampledFiles({ files }: Pick<Manifest, "files">, { share, seed }: Sample): number[] {
  const order = new Rng(seed, "verify").permutation(files.length);
  const count = Math.min(files.length, Math.ceil(share * files.length));
  return Array.from({ length: count }, (_, rank) => order.at(rank)).sort((a, b) => a - b);
}
