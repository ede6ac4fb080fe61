/**
 * Reads the large members of a tokenizer.json, `model.vocab` and `model.merges`, straight from the file's bytes into
 * flat arrays. All else is left to JSON.parse, which sees null in their places.
 */
import {
  CLOSE_BRACE,
  CLOSE_BRACKET,
  COLON,
  COMMA,
  FlatJsonError,
  OPEN_BRACE,
  OPEN_BRACKET,
  QUOTE,
  Scanner,
  text,
} from "./json-scanner.ts";
import type { Strings } from "./token-table.ts";

export interface FlatJson {
  /** the file's JSON with null for model.vocab and model.merges */
  readonly rest: unknown;
  readonly vocab: FlatVocab | undefined;
  /** left and right part of each merge, one after the other; undefined where there are no merges */
  readonly merges: Strings | undefined;
}

export interface FlatVocab {
  readonly strings: Strings;
  /** the number that stands with each string: its id or, in a list of pairs, its score */
  readonly numbers: Float64Array;
  /** "ids": an object of token: id; "scores": a list of [token, score] */
  readonly kind: "ids" | "scores";
}

/** @throws FlatJsonError, or SyntaxError of JSON.parse */
export function readFlatJson(file: Uint8Array): FlatJson {
  const scanner = new Scanner(file);
  let vocab: FlatVocab | undefined;
  let merges: Strings | undefined;
  const holes: [number, number][] = [];
  const hole = <T>(member: string, read: (scanner: Scanner) => T | undefined): T | undefined => {
    const start = scanner.at;
    let value: T | undefined;
    try {
      value = read(scanner);
    } catch (error) {
      throw error instanceof FlatJsonError ? new FlatJsonError(`model.${member}: ${error.message}`) : error;
    }
    if (value === undefined) scanner.skipValue();
    else holes.push([start, scanner.at]);
    return value;
  };
  scanner.eachMember((key) => {
    if (key !== "model" || scanner.peek() !== OPEN_BRACE) return scanner.skipValue();
    scanner.eachMember((member) => {
      if (member === "vocab") vocab = hole(member, readVocab);
      else if (member === "merges") merges = hole(member, readMerges);
      else scanner.skipValue();
    });
  });
  scanner.end();
  const parts: string[] = [];
  let at = 0;
  for (const [start, end] of holes) {
    parts.push(text(file, at, start), "null");
    at = end;
  }
  parts.push(text(file, at, file.length));
  return { rest: JSON.parse(parts.join("")), vocab, merges };
}

/** undefined where the value has neither form; nothing is read then. */
function readVocab(scanner: Scanner): FlatVocab | undefined {
  const first = scanner.peek();
  if (first !== OPEN_BRACE && first !== OPEN_BRACKET) return undefined;
  const strings = scanner.collect();
  const numbers: number[] = [];
  if (first === OPEN_BRACE) {
    scanner.eachItem(OPEN_BRACE, CLOSE_BRACE, () => {
      strings.read();
      scanner.expect(COLON, "a colon");
      numbers.push(scanner.number());
    });
  } else {
    scanner.eachItem(OPEN_BRACKET, CLOSE_BRACKET, () => {
      scanner.expect(OPEN_BRACKET, "a pair of a token and its score");
      strings.read();
      scanner.expect(COMMA, "a comma");
      numbers.push(scanner.number());
      scanner.expect(CLOSE_BRACKET, "the end of the pair");
    });
  }
  return {
    strings: strings.finish(),
    numbers: Float64Array.from(numbers),
    kind: first === OPEN_BRACE ? "ids" : "scores",
  };
}

/** Pairs, as ["a", "b"] or as "a b". */
function readMerges(scanner: Scanner): Strings | undefined {
  if (scanner.peek() !== OPEN_BRACKET) return undefined;
  const strings = scanner.collect();
  scanner.eachItem(OPEN_BRACKET, CLOSE_BRACKET, () => {
    if (scanner.peek() === QUOTE) {
      strings.readPair();
      return;
    }
    scanner.expect(OPEN_BRACKET, 'a merge, as ["a", "b"] or as "a b"');
    strings.read();
    scanner.expect(COMMA, "a comma");
    strings.read();
    scanner.expect(CLOSE_BRACKET, "the end of the merge");
  });
  return strings.finish();
}
