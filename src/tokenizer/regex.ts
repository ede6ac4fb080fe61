/**
 * Regular expressions of Split pre-tokenizers, as Oniguruma reads them (Ruby's syntax): parsed into a tree of what the
 * counter's matcher can do exactly. Anything else, from back-references to \w, is refused rather than approximated.
 */

export type Regex =
  | { readonly kind: "set"; readonly set: CharacterSet }
  | { readonly kind: "sequence"; readonly parts: readonly Regex[] }
  /** the first that leads to a match wins */
  | { readonly kind: "choice"; readonly branches: readonly Regex[] }
  | { readonly kind: "repeat"; readonly body: Regex; readonly min: number; readonly max: number; readonly mode: Mode }
  /** of the one character before or behind; at an end of the text there is none */
  | { readonly kind: "look"; readonly set: CharacterSet; readonly behind: boolean; readonly negated: boolean }
  | { readonly kind: "anchor"; readonly anchor: Anchor };

export type Mode = "greedy" | "lazy" | "possessive";
export type Anchor = "line-start" | "line-end" | "text-start" | "text-end" | "last-line-end";

export type CharacterSet =
  | { readonly kind: "range"; readonly first: number; readonly last: number }
  /** a general category (`Lu`), a group of them (`L`), `Han`, `White_Space`, or what a pre-tokenizer calls so */
  | { readonly kind: "property"; readonly name: string }
  | { readonly kind: "union"; readonly sets: readonly CharacterSet[] }
  | { readonly kind: "intersection"; readonly sets: readonly CharacterSet[] }
  | { readonly kind: "not"; readonly set: CharacterSet };

export class RegexError extends Error {}

const WHITE_SPACE: CharacterSet = { kind: "property", name: "White_Space" };
const DIGIT: CharacterSet = { kind: "property", name: "Nd" };
const CONTROLS: Readonly<Record<string, number>> = { n: 10, r: 13, t: 9, f: 12, v: 11, a: 7, e: 27 };
const ANCHORS: Readonly<Record<string, Anchor>> = { A: "text-start", z: "text-end", Z: "last-line-end" };
const PROPERTY = /^(?:L[ultmo]?|M[nce]?|N[dlo]?|P[cdsepifo]?|S[mcko]?|Z[slp]?|C[cfon]?|Han)$/;
/** Two letters that are one character in another case: ß, ﬀ, ﬁ, ﬂ, ﬆ. */
const FOLDED_PAIR = /ss|ff|fi|fl|st/i;
/** Letters of other alphabets that are s and k in another case. */
const OTHER_CASE: Readonly<Record<string, number>> = { s: 0x17f, k: 0x212a };

/** @throws RegexError which says what is not supported */
export function parseRegex(source: string): Regex {
  return new Parser(source).parse();
}

class Parser {
  readonly #characters: readonly string[];
  #at = 0;

  constructor(source: string) {
    this.#characters = [...source];
  }

  parse(): Regex {
    const regex = this.#choice(false);
    if (this.#at < this.#characters.length) throw this.#unsupported("a parenthesis that closes nothing");
    return regex;
  }

  #peek(ahead = 0): string | undefined {
    return this.#characters[this.#at + ahead];
  }

  #next(): string {
    const character = this.#characters[this.#at++];
    if (character === undefined) throw this.#unsupported("a part that is cut off");
    return character;
  }

  #takes(text: string): boolean {
    if (this.#characters.slice(this.#at, this.#at + text.length).join("") !== text) return false;
    this.#at += text.length;
    return true;
  }

  #unsupported(what: string): RegexError {
    return new RegexError(`${what} at character ${this.#at}`);
  }

  #choice(foldCase: boolean): Regex {
    const branches = [this.#sequence(foldCase)];
    while (this.#takes("|")) branches.push(this.#sequence(foldCase));
    return branches.length === 1 ? branches[0]! : { kind: "choice", branches };
  }

  #sequence(foldCase: boolean): Regex {
    const parts: Regex[] = [];
    let letters = ""; // the last literal letters, which folding may take together
    while (this.#peek() !== undefined && this.#peek() !== "|" && this.#peek() !== ")") {
      letters = foldCase ? letters.slice(-1) + this.#peek() : "";
      if (FOLDED_PAIR.test(letters)) throw this.#unsupported(`"${letters}" in any case`);
      parts.push(this.#quantified(this.#atom(foldCase)));
    }
    return parts.length === 1 ? parts[0]! : { kind: "sequence", parts };
  }

  #quantified(body: Regex): Regex {
    const [min, max] = this.#bounds() ?? [];
    if (min === undefined || max === undefined) return body;
    if (body.kind === "look" || body.kind === "anchor") throw this.#unsupported("an assertion that is repeated");
    const isInterval = this.#characters[this.#at - 1] === "}";
    const mode: Mode = this.#takes("+") ? "possessive" : this.#takes("?") ? "lazy" : "greedy";
    if (isInterval && mode !== "greedy") throw this.#unsupported("a {} with + or ? behind it");
    if (this.#bounds() !== undefined) throw this.#unsupported("a quantifier of a quantifier");
    if (min > max) throw this.#unsupported("an interval upside down");
    if (max > 1 && body.kind !== "set" && isNullable(body)) throw this.#unsupported("a loop of what may be nothing");
    return { kind: "repeat", body, min, max, mode };
  }

  #bounds(): readonly [number, number] | undefined {
    if (this.#takes("?")) return [0, 1];
    if (this.#takes("*")) return [0, Number.POSITIVE_INFINITY];
    if (this.#takes("+")) return [1, Number.POSITIVE_INFINITY];
    if (this.#peek() !== "{") return undefined;
    const interval = /^\{(\d{1,3})(?:(,)(\d{1,3})?)?\}/.exec(this.#characters.slice(this.#at, this.#at + 12).join(""));
    if (interval === null) throw this.#unsupported("a brace that is no interval");
    this.#at += interval[0].length;
    const min = Number(interval[1]);
    const max =
      interval[2] === undefined ? min : interval[3] === undefined ? Number.POSITIVE_INFINITY : Number(interval[3]);
    return [min, max];
  }

  #atom(foldCase: boolean): Regex {
    const character = this.#next();
    switch (character) {
      case "(":
        return this.#group(foldCase);
      case "[":
        return { kind: "set", set: this.#folded(this.#setRest(), foldCase) };
      case ".":
        return { kind: "set", set: { kind: "not", set: single(10) } };
      case "^":
        return { kind: "anchor", anchor: "line-start" };
      case "$":
        return { kind: "anchor", anchor: "line-end" };
      case "\\": {
        const anchor = Object.hasOwn(ANCHORS, this.#peek() ?? "") ? ANCHORS[this.#next()] : undefined;
        if (anchor !== undefined) return { kind: "anchor", anchor };
        return { kind: "set", set: this.#folded(this.#escape(), foldCase) };
      }
      case "?":
      case "*":
      case "+":
      case "{":
        throw this.#unsupported(`a ${character} that repeats nothing`);
      default:
        return { kind: "set", set: this.#folded(single(character.codePointAt(0)!), foldCase) };
    }
  }

  #group(foldCase: boolean): Regex {
    if (this.#peek() !== "?") return this.#closed(this.#choice(foldCase));
    if (this.#takes("?:")) return this.#closed(this.#choice(foldCase));
    if (this.#takes("?i:")) return this.#closed(this.#choice(true));
    for (const [opening, behind, negated] of [
      ["?=", false, false],
      ["?!", false, true],
      ["?<=", true, false],
      ["?<!", true, true],
    ] as const) {
      if (!this.#takes(opening)) continue;
      const body = this.#closed(this.#choice(foldCase));
      if (body.kind !== "set") throw this.#unsupported("a look-around of more than one character");
      return { kind: "look", set: body.set, behind, negated };
    }
    throw this.#unsupported(`a group that begins with (${this.#peek()}${this.#peek(1)}`);
  }

  #closed(regex: Regex): Regex {
    if (!this.#takes(")")) throw this.#unsupported("a group without its end");
    return regex;
  }

  /** What stands behind a backslash. */
  #escape(): CharacterSet {
    const character = this.#next();
    if (Object.hasOwn(CONTROLS, character)) return single(CONTROLS[character]!);
    switch (character) {
      case "s":
        return WHITE_SPACE;
      case "S":
        return { kind: "not", set: WHITE_SPACE };
      case "d":
        return DIGIT;
      case "D":
        return { kind: "not", set: DIGIT };
      case "p":
      case "P":
        return this.#property(character === "P");
      case "u":
        return single(Number.parseInt(this.#hexadecimal(4), 16));
      case "x":
        return single(Number.parseInt(this.#peek() === "{" ? this.#braced() : this.#hexadecimal(2), 16));
      default:
        if (/[0-9A-Za-z]/.test(character)) throw this.#unsupported(`\\${character}`);
        return single(character.codePointAt(0)!);
    }
  }

  #property(negated: boolean): CharacterSet {
    const written = this.#peek() === "{" ? this.#braced() : "";
    const name = written.replace(/^\^/, "");
    if (!PROPERTY.test(name)) throw this.#unsupported(`the property ${JSON.stringify(written)}`);
    const property: CharacterSet = { kind: "property", name };
    return negated !== written.startsWith("^") ? { kind: "not", set: property } : property;
  }

  #braced(): string {
    const end = this.#characters.indexOf("}", this.#at);
    if (end < 0) throw this.#unsupported("a brace without its end");
    const inside = this.#characters.slice(this.#at + 1, end).join("");
    this.#at = end + 1;
    return inside;
  }

  #hexadecimal(digits: number): string {
    const text = this.#characters.slice(this.#at, this.#at + digits).join("");
    if (!/^[0-9A-Fa-f]+$/.test(text) || text.length < digits) throw this.#unsupported("an unfinished code point");
    this.#at += digits;
    return text;
  }

  /** A class behind its opening bracket. */
  #setRest(): CharacterSet {
    const negated = this.#takes("^");
    const intersected: CharacterSet[] = [];
    let sets: CharacterSet[] = [];
    for (let first = true; first || !this.#takes("]"); first = false) {
      if (this.#takes("&&")) {
        intersected.push({ kind: "union", sets });
        sets = [];
      } else {
        sets.push(this.#setItem(first));
      }
    }
    const union: CharacterSet = { kind: "union", sets };
    const set: CharacterSet =
      intersected.length === 0 ? union : { kind: "intersection", sets: [...intersected, union] };
    return negated ? { kind: "not", set } : set;
  }

  #setItem(first: boolean): CharacterSet {
    const character = this.#next();
    if (character === "]" && first) throw this.#unsupported("a class that begins with ]");
    if (character === "[") {
      if (this.#peek() === ":") throw this.#unsupported("a POSIX class");
      return this.#setRest();
    }
    const set = character === "\\" ? this.#escape() : single(character.codePointAt(0)!);
    if (this.#peek() !== "-" || this.#peek(1) === "]") return set;
    if (set.kind !== "range") throw this.#unsupported("a range from a class");
    this.#next();
    if (this.#peek() === "[" || this.#peek() === "&") throw this.#unsupported("a range to a class");
    const end = this.#takes("\\") ? this.#escape() : single(this.#next().codePointAt(0)!);
    if (end.kind !== "range" || end.last < set.first) throw this.#unsupported("a range that is none");
    return { kind: "range", first: set.first, last: end.last };
  }

  /** The set with its letters in any case; only letters of ASCII are. */
  #folded(set: CharacterSet, foldCase: boolean): CharacterSet {
    if (!foldCase) return set;
    switch (set.kind) {
      case "range": {
        if (set.last > 0x7f) throw this.#unsupported("a character beyond ASCII in any case");
        const others: CharacterSet[] = [];
        for (let code = set.first; code <= set.last; code++) {
          const lower = String.fromCharCode(code).toLowerCase();
          if (!/[a-z]/.test(lower)) continue;
          others.push(single(lower.charCodeAt(0)), single(lower.toUpperCase().charCodeAt(0)));
          if (Object.hasOwn(OTHER_CASE, lower)) others.push(single(OTHER_CASE[lower]!));
        }
        return { kind: "union", sets: [set, ...others] };
      }
      case "union":
        return { kind: "union", sets: set.sets.map((one) => this.#folded(one, true)) };
      default:
        throw this.#unsupported("a property or a negated class in any case");
    }
  }
}

function single(code: number): CharacterSet {
  return { kind: "range", first: code, last: code };
}

/** Whether it can match without taking a character. */
export function isNullable(regex: Regex): boolean {
  switch (regex.kind) {
    case "set":
      return false;
    case "sequence":
      return regex.parts.every(isNullable);
    case "choice":
      return regex.branches.some(isNullable);
    case "repeat":
      return regex.min === 0 || isNullable(regex.body);
    case "look":
    case "anchor":
      return true;
  }
}
