/**
 * Normalizers of a tokenizer.json: what the file says as a plan of steps, and the steps applied to UTF-8 bytes. Text
 * that a plan leaves as it is, nearly all there is, is only looked at.
 */
import { isAscii } from "node:buffer";
import { BYTE_CHARACTERS } from "../byte-level.ts";
import type { Part } from "../tokenizer-json.ts";
import {
  type AsciiTable,
  asciiTable,
  type CharacterMapName,
  DROPPED,
  mapAscii,
  mapCharacters,
} from "./character-map.ts";
import { type NormalForm, toNormalForm } from "./normal-forms.ts";
import { applyCharsmap, type Charsmap, readCharsmap } from "./precompiled.ts";
import { type ReplacePattern, replaceAll, replacePattern, whiteSpaceWidth } from "./replace.ts";
import { type KnownRuns, normalizeByRuns } from "./runs.ts";

export type NormalizerStep =
  | { readonly kind: "normal-form"; readonly form: NormalForm }
  | { readonly kind: "map"; readonly map: CharacterMapName }
  | { readonly kind: "strip"; readonly left: boolean; readonly right: boolean }
  | { readonly kind: "replace"; readonly pattern: ReplacePattern; readonly content: Uint8Array }
  | { readonly kind: "prepend"; readonly content: Uint8Array }
  | { readonly kind: "charsmap"; readonly charsmap: Charsmap }
  | { readonly kind: "byte-level" };

/** Steps in order; none: text stays as it is. */
export type NormalizerPlan = readonly NormalizerStep[];

/** The steps that do exactly what the part says; undefined where there are none. */
export function normalizerSteps(part: Part): NormalizerPlan | undefined {
  switch (part.type) {
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD":
      return [{ kind: "normal-form", form: part.type }];
    case "Lowercase":
      return [{ kind: "map", map: "lowercase" }];
    case "StripAccents":
      return [{ kind: "map", map: "without-combining-marks" }];
    case "Nmt":
      return [{ kind: "map", map: "nmt" }];
    case "BertNormalizer":
      return bertSteps(part);
    case "Strip": {
      const { strip_left: left, strip_right: right } = part;
      return typeof left === "boolean" && typeof right === "boolean" ? [{ kind: "strip", left, right }] : undefined;
    }
    case "Replace": {
      const pattern = replacePattern(part.pattern);
      if (pattern === undefined || typeof part.content !== "string") return undefined;
      return [{ kind: "replace", pattern, content: Buffer.from(part.content, "utf8") }];
    }
    case "Prepend":
      return typeof part.prepend === "string"
        ? [{ kind: "prepend", content: Buffer.from(part.prepend, "utf8") }]
        : undefined;
    case "Precompiled": {
      const charsmap =
        typeof part.precompiled_charsmap === "string" ? readCharsmap(part.precompiled_charsmap) : undefined;
      return charsmap && [{ kind: "charsmap", charsmap }];
    }
    case "ByteLevel":
      return [{ kind: "byte-level" }];
    case "Sequence": {
      if (!Array.isArray(part.normalizers)) return undefined;
      const steps = part.normalizers.map((inner: Part) => normalizerSteps(inner));
      return steps.every((step) => step !== undefined) ? steps.flat() : undefined;
    }
    default:
      return undefined;
  }
}

function bertSteps(part: Part): NormalizerPlan | undefined {
  const { clean_text: clean, handle_chinese_chars: ideographs, strip_accents: accents, lowercase } = part;
  if (typeof clean !== "boolean" || typeof ideographs !== "boolean" || typeof lowercase !== "boolean") return undefined;
  if (accents !== undefined && accents !== null && typeof accents !== "boolean") return undefined;
  const steps: NormalizerStep[] = [];
  if (clean) steps.push({ kind: "map", map: "bert-clean" });
  if (ideographs) steps.push({ kind: "map", map: "bert-ideographs" });
  if (accents ?? lowercase) {
    steps.push({ kind: "normal-form", form: "NFD" }, { kind: "map", map: "without-nonspacing-marks" });
  }
  if (lowercase) steps.push({ kind: "map", map: "lowercase" });
  return steps;
}

/**
 * Whether the reference implementation takes what comes first after the step for what came first before it. (Of text
 * replaced by a mark it does not, but the mark is all that matters there.)
 */
export function keepsStart(step: NormalizerStep): boolean {
  switch (step.kind) {
    case "normal-form":
    case "prepend":
    case "charsmap":
    case "byte-level":
      return true;
    case "map":
      return step.map === "lowercase" || step.map === "bert-ideographs";
    case "strip":
      return !step.left;
    case "replace":
      return MARK.equals(step.content);
  }
}

const MARK = Buffer.from("\u2581", "utf8");

/** What a plan does to ASCII, worked out once. */
interface AsciiEffect {
  /** bytes that no step has anything to do for: 0; for steps that look at the whole text, and beyond ASCII, all are 1 */
  readonly touched: Uint8Array;
  /** all steps in one, where each looks at one character at a time */
  readonly table: AsciiTable | undefined;
  /** what beyond ASCII is between ASCII can be normalized alone */
  readonly byRuns: boolean;
  readonly known: KnownRuns;
  /** the table is not for text with CR: a charsmap sees it together with the LF behind it */
  readonly withoutCr: boolean;
}

const effects = new WeakMap<NormalizerPlan, AsciiEffect>();

function asciiEffect(plan: NormalizerPlan): AsciiEffect {
  let effect = effects.get(plan);
  if (effect === undefined) {
    let table: AsciiTable | undefined = IDENTITY;
    for (const step of plan) {
      const next = stepTable(step);
      table = next && table?.map((byte) => (byte === DROPPED ? DROPPED : next[byte]!));
    }
    const touched = new Uint8Array(256).fill(1);
    table?.forEach((to, byte) => {
      if (to === byte) touched[byte] = 0;
    });
    const withoutCr = plan.some(({ kind }) => kind === "charsmap");
    if (withoutCr) touched[CR] = 1;
    effect = { touched, table, withoutCr, byRuns: table !== undefined && inRuns(plan), known: new Map() };
    effects.set(plan, effect);
  }
  return effect;
}

/**
 * Whether each run of characters beyond ASCII, with the ASCII before it, can be normalized alone. Where ASCII is dropped,
 * what was around it may come together in a later step; and what a charsmap sees or makes may reach beyond a run.
 */
function inRuns(plan: NormalizerPlan): boolean {
  const charsmap = plan.findLastIndex(({ kind }) => kind === "charsmap");
  if (charsmap >= 0) return charsmap === 0 && plan.slice(1).every(({ kind }) => kind === "map");
  const dropping = plan.findIndex((step) => stepTable(step)?.includes(DROPPED));
  return dropping < 0 || plan.slice(dropping + 1).every((step) => step.kind === "map" || isDecomposing(step));
}

function isDecomposing(step: NormalizerStep): boolean {
  return step.kind === "normal-form" && (step.form === "NFD" || step.form === "NFKD");
}

const CR = 13;
const IDENTITY: AsciiTable = Uint8Array.from({ length: 128 }, (_, byte) => byte);

function stepTable(step: NormalizerStep): AsciiTable | undefined {
  switch (step.kind) {
    case "normal-form":
      return IDENTITY;
    case "map":
      return asciiTable(step.map);
    case "charsmap":
      return step.charsmap.ascii;
    case "strip":
    case "replace":
    case "prepend":
    case "byte-level":
      return undefined;
  }
}

/** Whether the plan can't change bytes[start..end]; where it says no it still may not. */
export function leavesAlone(plan: NormalizerPlan, bytes: Uint8Array, start: number, end: number): boolean {
  if (plan.length === 0) return true;
  const { touched } = asciiEffect(plan);
  for (let i = start; i < end; i++) if (touched[bytes[i]!] !== 0) return false;
  return true;
}

/** Valid UTF-8 in and out; the text itself where nothing changes. */
export function normalize(plan: NormalizerPlan, text: Uint8Array): Uint8Array {
  if (leavesAlone(plan, text, 0, text.length)) return text;
  const { table, withoutCr, byRuns, known } = asciiEffect(plan);
  const slowly = (part: Uint8Array) => plan.reduce(apply, part);
  if (table === undefined || (withoutCr && text.includes(CR))) return slowly(text);
  if (isAscii(text)) return mapAscii(table, text);
  return (byRuns ? normalizeByRuns(table, known, text, slowly) : undefined) ?? slowly(text);
}

function apply(text: Uint8Array, step: NormalizerStep): Uint8Array {
  switch (step.kind) {
    case "normal-form":
      return isAscii(text) ? text : toNormalForm(step.form, text);
    case "map":
      return mapCharacters(step.map, text);
    case "strip":
      return strip(text, step.left, step.right);
    case "replace":
      return replaceAll(step.pattern, step.content, text);
    case "prepend":
      return text.length === 0 ? text : Buffer.concat([step.content, text]);
    case "charsmap":
      return applyCharsmap(step.charsmap, text);
    case "byte-level":
      return byteLevel(text);
  }
}

function strip(text: Uint8Array, left: boolean, right: boolean): Uint8Array {
  let start = 0;
  let end = text.length;
  for (let width = 1; left && width > 0; start += width) width = whiteSpaceWidth(text, start);
  while (right && end > start) {
    let last = end - 1;
    while (last > start && (text[last]! & 0xc0) === 0x80) last--;
    if (whiteSpaceWidth(text, last) === 0) break;
    end = last;
  }
  return text.subarray(start, end);
}

/** Each byte as the character that stands for it in byte-level vocabularies. */
function byteLevel(text: Uint8Array): Uint8Array {
  let characters = "";
  for (const byte of text) characters += BYTE_CHARACTERS[byte];
  return Buffer.from(characters, "utf8");
}
