/**
 * Column paths in a line of JSON, by bytes: the same values that record.ts finds in the parsed object. A key of exactly
 * that name comes first, then the dots go into objects.
 */
import { JsonScanner, KIND, WantedMembers } from "./scan.ts";

/** Where the value of a path lies; positions as the scanner has them. */
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

/** In the order in which they are tried. @param keys those looked for in the object; the path's are added */
function waysOf(path: string, keys: string[]): Way[] {
  const keyIndex = (key: string) => (keys.includes(key) ? keys.indexOf(key) : keys.push(key) - 1);
  const ways: Way[] = [{ key: keyIndex(path), below: undefined }];
  for (let dot = path.indexOf("."); dot >= 0; dot = path.indexOf(".", dot + 1)) {
    const keysBelow: string[] = [];
    const below = waysOf(path.slice(dot + 1), keysBelow);
    ways.push({ key: keyIndex(path.slice(0, dot)), below: { members: new WantedMembers(keysBelow), ways: below } });
  }
  return ways;
}

function follow(scanner: JsonScanner, members: WantedMembers, ways: readonly Way[], found: Found): void {
  found.kind = KIND.missing;
  for (const { key, below } of ways) {
    const kind = members.kind[key]!;
    const start = members.start[key]!;
    if (kind === KIND.missing) continue;
    if (below && kind === KIND.object) {
      if (scanner.object(start, below.members) >= 0) follow(scanner, below.members, below.ways, found);
      return;
    }
    if (!below || kind === KIND.null) {
      found.kind = kind;
      found.start = start;
      found.end = members.end[key]!;
      return;
    }
  }
}

/** Finds paths in each line of a block, as long as their values are strings or null. */
export class LineFinder {
  readonly #scanner = new JsonScanner();
  readonly #members: WantedMembers;
  readonly #ways: readonly (readonly Way[])[];
  /** of each path, in the line that was read last */
  readonly found: readonly Found[];

  constructor(paths: readonly string[]) {
    const keys: string[] = [];
    this.#ways = paths.map((path) => waysOf(path, keys));
    this.#members = new WantedMembers(keys);
    this.found = paths.map(() => ({ kind: KIND.missing, start: 0, end: 0 }));
  }

  /** @param bytes a block that is valid UTF-8 */
  open(bytes: Uint8Array): void {
    this.#scanner.open(bytes);
  }

  /**
   * The line that begins at `at`.
   * @returns the position of its newline, or of the end; −1 where JSON.parse has to judge, or a path is no string
   */
  line(at: number): number {
    const end = this.#scanner.line(at, this.#members);
    if (end < 0) return -1;
    for (let i = 0; i < this.found.length; i++) {
      const found = this.found[i]!;
      follow(this.#scanner, this.#members, this.#ways[i]!, found);
      if (found.kind !== KIND.plainString && found.kind !== KIND.escapedString && found.kind !== KIND.null) return -1;
    }
    return end;
  }
}
