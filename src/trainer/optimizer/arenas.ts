/**
 * Where each array lies: the arrays of one parameter together in one WebAssembly memory, as few memories as their limit
 * of 4 GiB allows, and none larger than what is in it. Decided as plain data before any memory is there.
 */
import { wholeBlocks } from "./kernels.ts";

/** The arrays of one parameter. */
export interface ArrayGroup {
  readonly name: string;
  /** elements of each array */
  readonly lengths: Readonly<Record<string, number>>;
  /** that all groups of an arena share */
  readonly scratchBytes: number;
}

export interface PlannedGroup {
  readonly name: string;
  readonly arena: number;
  /** first byte of each array */
  readonly at: Readonly<Record<string, number>>;
}

export interface ArenaPlan {
  readonly groups: readonly PlannedGroup[];
  readonly arenas: readonly {
    readonly bytes: number;
    /** first byte of what all its groups work in */
    readonly scratch: number;
  }[];
}

/** The last of the 65536 pages stays unused, so that the byte after an array has an address too. */
export const ARENA_BYTES = 65535 * 65536;

/**
 * Each group goes to the first arena that has room.
 * @param base first byte that arrays may have  @throws RangeError where a group alone is too large
 */
export function planArenas(groups: readonly ArrayGroup[], base: number, capacity = ARENA_BYTES): ArenaPlan {
  const arenas: { bytes: number; scratchBytes: number }[] = [];
  const planned = groups.map(({ name, lengths, scratchBytes }): PlannedGroup => {
    const bytes = Object.values(lengths).reduce((sum, length) => sum + wholeBlocks(length * 4), 0);
    const fits = (arena: { bytes: number; scratchBytes: number }) =>
      arena.bytes + bytes + Math.max(arena.scratchBytes, scratchBytes) <= capacity;
    let index = arenas.findIndex(fits);
    if (index < 0) index = arenas.push({ bytes: base, scratchBytes: 0 }) - 1;
    const arena = arenas[index]!;
    if (!fits(arena)) throw new RangeError(`${name}: its arrays take ${bytes} bytes, and a memory holds ${capacity}`);
    const at: Record<string, number> = {};
    for (const [array, length] of Object.entries(lengths)) {
      at[array] = arena.bytes;
      arena.bytes += wholeBlocks(length * 4);
    }
    arena.scratchBytes = Math.max(arena.scratchBytes, scratchBytes);
    return { name, arena: index, at };
  });
  return {
    groups: planned,
    arenas: arenas.map(({ bytes, scratchBytes }) => ({ bytes: bytes + scratchBytes, scratch: bytes })),
  };
}
