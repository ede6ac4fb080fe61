/**
 * Column paths in a line of JSON, by bytes: the same values that record.ts finds in the parsed object. A key of exactly
 * that name comes first, then the dots go into objects.
 */
import { KIND, Scanner, type WantedMembers } from "./scanner.ts";

/** Where the value of a path lies; places as the scanner has them. */
export interface Found {
  /** see KIND */
  kind: number;
  start: number;
  end: number;
}

/** One way to take a path: a key of the object, and what is left of the path for the object below it. */
interface Way {
  /** index into the members that are looked for */
  readonly key: number;
  readonly below: { readonly members: WantedMembers; readonly ways: readonly Way[] } | undefined;
}

const idle = new Map<string, LineFinder[]>();
/** Of each list of paths; as many as one thread reads files at once. */
const MOST_IDLE = 4;

/** A finder of these paths, new or given back: an instance and its memory take longer than a small file. */
export function takeFinder(paths: readonly string[]): LineFinder {
  return idle.get(JSON.stringify(paths))?.pop() ?? new LineFinder(paths);
}

export function giveBack(finder: LineFinder): void {
  const key = JSON.stringify(finder.paths);
  const kept = idle.get(key) ?? [];
  if (kept.length < MOST_IDLE) kept.push(finder);
  idle.set(key, kept);
}

/** Finds paths in each line of a block, as long as their values are strings or null. */
export class LineFinder {
  readonly scanner = new Scanner();
  readonly #members: WantedMembers;
  readonly #ways: readonly (readonly Way[])[];
  /** of each path, in the line that was read last */
  readonly found: readonly Found[];

  readonly paths: readonly string[];

  constructor(paths: readonly string[]) {
    this.paths = paths;
    const keys: string[] = [];
    this.#ways = paths.map((path) => this.#waysOf(path, keys));
    this.#members = this.scanner.want(keys);
    this.found = paths.map(() => ({ kind: KIND.missing, start: 0, end: 0 }));
  }

  /**
   * The line that begins at `at`.
   * @returns the place of its newline, or of the block's end; 0 where JSON.parse has to judge, or a path is no string
   */
  line(at: number): number {
    const end = this.scanner.line(at, this.#members);
    if (end === 0) return 0;
    for (let i = 0; i < this.found.length; i++) {
      const found = this.found[i]!;
      this.#follow(this.#members, this.#ways[i]!, found);
      if (found.kind !== KIND.plainString && found.kind !== KIND.escapedString && found.kind !== KIND.null) return 0;
    }
    return end;
  }

  /** In the order in which they are tried. @param keys those looked for in the object; the path's are added */
  #waysOf(path: string, keys: string[]): Way[] {
    const keyIndex = (key: string) => (keys.includes(key) ? keys.indexOf(key) : keys.push(key) - 1);
    const ways: Way[] = [{ key: keyIndex(path), below: undefined }];
    for (let dot = path.indexOf("."); dot >= 0; dot = path.indexOf(".", dot + 1)) {
      const keysBelow: string[] = [];
      const waysBelow = this.#waysOf(path.slice(dot + 1), keysBelow);
      const below = { members: this.scanner.want(keysBelow), ways: waysBelow };
      ways.push({ key: keyIndex(path.slice(0, dot)), below });
    }
    return ways;
  }

  #follow(members: WantedMembers, ways: readonly Way[], found: Found): void {
    found.kind = KIND.missing;
    for (const { key, below } of ways) {
      const kind = this.scanner.kindOf(members, key);
      if (kind === KIND.missing) continue;
      const start = this.scanner.startOf(members, key);
      if (below && kind === KIND.object) {
        if (this.scanner.object(start, below.members) !== 0) this.#follow(below.members, below.ways, found);
        return;
      }
      if (!below || kind === KIND.null) {
        found.kind = kind;
        found.start = start;
        found.end = this.scanner.endOf(members, key);
        return;
      }
    }
  }
}
