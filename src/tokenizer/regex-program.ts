/** Compiles regular expressions to the programs that assembly/matcher.ts runs: words of 32 bits, addresses in words. */
import { BYTE_CHARACTERS } from "./byte-level.ts";
import { CharacterSets } from "./character-sets.ts";
import type { SplitStep } from "./plan.ts";
import type { CharacterSet, Mode, Regex } from "./regex.ts";
import { isNullable, RegexError } from "./regex.ts";

/** Of all steps, for the memory of assembly/matcher.ts. */
export interface MatcherTables {
  readonly setPages: Uint8Array;
  readonly setBits: Uint8Array;
  readonly programs: Uint32Array;
  /** of each step: as assembly/matcher.ts has them */
  readonly levels: Uint32Array;
  /** the character of each byte, as u16 */
  readonly byteCharacters: Uint8Array;
}

/** @throws RegexError */
export function matcherTables(steps: readonly SplitStep[]): MatcherTables {
  const sets = new CharacterSets();
  const words: number[] = [];
  const levels = steps.flatMap((step) => {
    if (step.kind === "pattern") return [BY_HAND, step.family, step.maxDigits, step.bareWords ? 1 : 0];
    const program = compileRegex(step.regex, sets);
    const address = words.length;
    words.push(...program.words);
    return [program.loopFirst ? LOOP_FIRST : ANY, address, program.first, step.onBytes ? 1 : 0];
  });
  const characters = Uint16Array.from(BYTE_CHARACTERS, (character) => character.charCodeAt(0));
  return {
    setPages: sets.indexes,
    setBits: sets.pages,
    programs: Uint32Array.from(words),
    levels: Uint32Array.from(levels),
    byteCharacters: new Uint8Array(characters.buffer),
  };
}

/** As in assembly/matcher.ts. */
const OPCODE = { match: 0, set: 1, jump: 2, split: 3, loop: 4, look: 5, anchor: 6, branch: 7 } as const;
/** Kinds of steps. */
const ANY = 0;
const LOOP_FIRST = 1;
const BY_HAND = 2;
const ANCHOR = { "line-start": 0, "line-end": 1, "text-start": 2, "text-end": 3, "last-line-end": 4 } as const;
const UNLIMITED = 0xffff_ffff;
/** A larger program comes from an interval of an interval. */
const LARGEST = 4096;

export interface SetNumbers {
  numberOf(set: CharacterSet): number;
}

export interface RegexProgram {
  readonly words: readonly number[];
  /** number of the set that every match begins with one of */
  readonly first: number;
  /** the program is one loop of a set and what must follow it: where that fails at a place, it fails in the whole run */
  readonly loopFirst: boolean;
}

/** @throws RegexError where a match may be empty, or the program would be huge */
export function compileRegex(regex: Regex, sets: SetNumbers): RegexProgram {
  if (isNullable(regex)) throw new RegexError("a match that may be empty");
  const words: number[] = [];
  emit(regex, words, sets);
  words.push(OPCODE.match);
  if (words.length > LARGEST) throw new RegexError("an expression that is too large");
  return { words, first: sets.numberOf({ kind: "union", sets: firstOf(regex) }), loopFirst: isLoopFirst(regex) };
}

function isLoopFirst(regex: Regex): boolean {
  if (regex.kind === "sequence") return regex.parts[0] !== undefined && isLoopFirst(regex.parts[0]);
  return (
    regex.kind === "repeat" &&
    regex.body.kind === "set" &&
    regex.max === Number.POSITIVE_INFINITY &&
    regex.min <= 1 &&
    regex.mode === "greedy"
  );
}

function emit(regex: Regex, words: number[], sets: SetNumbers): void {
  if (words.length > LARGEST) return;
  switch (regex.kind) {
    case "set":
      words.push(OPCODE.set, sets.numberOf(regex.set));
      break;
    case "sequence":
      for (const part of regex.parts) emit(part, words, sets);
      break;
    case "choice":
      emitChoice(regex.branches, words, sets);
      break;
    case "repeat":
      emitRepeat(regex.body, regex.min, regex.max, regex.mode, words, sets);
      break;
    case "look":
      words.push(OPCODE.look, sets.numberOf(regex.set), (regex.behind ? 1 : 0) | (regex.negated ? 2 : 0));
      break;
    case "anchor":
      words.push(OPCODE.anchor, ANCHOR[regex.anchor]);
      break;
    default:
      regex satisfies never;
  }
}

function emitChoice(branches: readonly Regex[], words: number[], sets: SetNumbers): void {
  const ends: number[] = [];
  branches.forEach((branch, i) => {
    if (i === branches.length - 1) {
      emit(branch, words, sets);
      return;
    }
    // a branch that takes a character is tried only where it can take the next one
    const split = isNullable(branch)
      ? words.push(OPCODE.split, 0, 0) - 2
      : words.push(OPCODE.branch, sets.numberOf({ kind: "union", sets: firstOf(branch) }), 0, 0) - 2;
    words[split] = words.length;
    emit(branch, words, sets);
    ends.push(words.push(OPCODE.jump, 0) - 1);
    words[split + 1] = words.length;
  });
  for (const end of ends) words[end] = words.length;
}

function emitRepeat(body: Regex, min: number, max: number, mode: Mode, words: number[], sets: SetNumbers): void {
  if (body.kind === "set" && mode !== "lazy") {
    const most = max === Number.POSITIVE_INFINITY ? UNLIMITED : max;
    words.push(OPCODE.loop, sets.numberOf(body.set), min, most, mode === "possessive" ? 1 : 0);
    return;
  }
  if (mode === "possessive") throw new RegexError("a possessive group");
  for (let i = 0; i < min; i++) emit(body, words, sets);
  const splits: number[] = [];
  const split = () => splits.push(words.push(OPCODE.split, 0, 0) - 2);
  if (max === Number.POSITIVE_INFINITY) {
    const start = words.length;
    split();
    emit(body, words, sets);
    words.push(OPCODE.jump, start);
  } else {
    for (let i = min; i < max; i++) {
      split();
      emit(body, words, sets);
    }
  }
  for (const at of splits) {
    const inside = at + 2;
    words[at] = mode === "lazy" ? words.length : inside;
    words[at + 1] = mode === "lazy" ? inside : words.length;
  }
}

/** Sets of which every match begins with a character of one. */
function firstOf(regex: Regex): CharacterSet[] {
  switch (regex.kind) {
    case "set":
      return [regex.set];
    case "choice":
      return regex.branches.flatMap(firstOf);
    case "repeat":
      return firstOf(regex.body);
    case "sequence": {
      const sets: CharacterSet[] = [];
      for (const part of regex.parts) {
        sets.push(...firstOf(part));
        if (!isNullable(part)) break;
      }
      return sets;
    }
    case "look":
    case "anchor":
      return [];
  }
}
