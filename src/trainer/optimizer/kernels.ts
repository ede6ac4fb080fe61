/** The arithmetic of assembly/ over its own memory, and what is to be known to lay arrays out there. */
import { compiledModule } from "../../lib/compiled.ts";

/** Addresses and lengths in bytes, unless a name says otherwise. */
export interface Kernels {
  /** @types/node's WebAssembly.Memory has no `grow` */
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  /** where arrays may begin */
  base(): number;
  sumOfSquares(at: number, bytes: number): number;
  addTo(to: number, from: number, bytes: number): void;
  adamW(
    parameter: number,
    gradient: number,
    first: number,
    second: number,
    bytes: number,
    scale: number,
    beta1: number,
    rest1: number,
    beta2: number,
    rest2: number,
    stepSize: number,
    correction: number,
    epsilon: number,
    kept: number,
  ): void;
  averageFactored(
    gradient: number,
    rows: number,
    columns: number,
    row: number,
    column: number,
    scratch: number,
    scale: number,
    beta: number,
    epsilon: number,
  ): void;
  averageSquares(gradient: number, length: number, second: number, scale: number, beta: number, epsilon: number): void;
  factoredSquares(
    gradient: number,
    rows: number,
    columns: number,
    row: number,
    column: number,
    scratch: number,
    scale: number,
  ): number;
  plainSquares(gradient: number, length: number, second: number, scale: number): number;
  updateByFactors(
    parameter: number,
    gradient: number,
    rows: number,
    columns: number,
    first: number,
    row: number,
    scratch: number,
    scale: number,
    rate: number,
    beta1: number,
    rest1: number,
    kept: number,
  ): void;
  updateBySquares(
    parameter: number,
    gradient: number,
    length: number,
    first: number,
    second: number,
    scale: number,
    rate: number,
    beta1: number,
    rest1: number,
    kept: number,
  ): void;
}

/** Arrays begin at multiples of this and have whole numbers of it (assembly/blocks.ts). */
const BLOCK_BYTES = 64;

let compiled: WebAssembly.Module | undefined;

/** Kernels with a memory of their own, which has next to nothing yet. */
export function createKernels(): Kernels {
  compiled ??= compiledModule(new URL("../optimizer.wasm", import.meta.url), "optimizers");
  return new WebAssembly.Instance(compiled).exports as unknown as Kernels;
}

export function wholeBlocks(bytes: number): number {
  return Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
}
