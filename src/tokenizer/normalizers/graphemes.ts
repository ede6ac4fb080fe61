/** Extended grapheme clusters (UAX #29), by a frozen table: SentencePiece's charsmap is applied to one at a time. */
import { decodeRuns } from "../unicode-classes.ts";
import { scalarAt } from "./character-map.ts";
import { GRAPHEME_BREAK, GRAPHEME_RUNS } from "./tables.ts";

const {
  CR,
  LF,
  Control,
  Extend,
  Extended_Pictographic,
  InCB_Consonant,
  L,
  LV,
  LVT,
  Prepend,
  Regional_Indicator,
  SpacingMark,
  T,
  V,
  ZWJ,
} = GRAPHEME_BREAK;

const BREAK = 15;
const CONJUNCT_EXTEND = 16;
const CONJUNCT_LINKER = 32;

let classes: Uint8Array | undefined;

/** Where the cluster that begins at `at` ends. Valid UTF-8, and `at` is the start of a cluster. */
export function clusterEnd(text: Uint8Array, at: number): number {
  classes ??= decodeRuns(GRAPHEME_RUNS);
  let width = widthOf(text[at]!);
  let bits = classes[width === 1 ? text[at]! : scalarAt(text, at, width)]!;
  let before = bits & BREAK;
  let indicators = before === Regional_Indicator ? 1 : 0;
  // GB11: an emoji, then Extend, then ZWJ
  let emoji = before === Extended_Pictographic;
  let joined = false;
  // GB9c: a consonant, then linkers and extending characters with one linker or more
  let conjunct = before === InCB_Consonant;
  let linked = false;
  let end = at + width;
  while (end < text.length) {
    width = widthOf(text[end]!);
    bits = classes[width === 1 ? text[end]! : scalarAt(text, end, width)]!;
    const after = bits & BREAK;
    const together =
      pairTogether(before, after) ||
      (after === InCB_Consonant && conjunct && linked) ||
      (after === Extended_Pictographic && joined) ||
      (after === Regional_Indicator && before === Regional_Indicator && indicators % 2 === 1);
    if (!together) return end;
    indicators = after === Regional_Indicator ? indicators + 1 : 0;
    joined = emoji && after === ZWJ;
    emoji = after === Extended_Pictographic || (emoji && after === Extend);
    if (after === InCB_Consonant) {
      conjunct = true;
      linked = false;
    } else if ((bits & CONJUNCT_LINKER) !== 0) {
      linked = true;
    } else if ((bits & CONJUNCT_EXTEND) === 0) {
      conjunct = false;
    }
    before = after;
    end += width;
  }
  return end;
}

/** Whether the text's last character is in one cluster with the one behind it, whatever that is but a control. */
export function endsInPrepended(text: Uint8Array): boolean {
  classes ??= decodeRuns(GRAPHEME_RUNS);
  let last = text.length - 1;
  while (last > 0 && (text[last]! & 0xc0) === 0x80) last--;
  const width = text.length - last;
  return width > 1 && (classes[scalarAt(text, last, width)]! & BREAK) === Prepend;
}

/** GB3 to GB9b: what two neighbours decide alone. */
function pairTogether(before: number, after: number): boolean {
  if (before === CR && after === LF) return true;
  if (isControl(before) || isControl(after)) return false;
  if (after === Extend || after === ZWJ || after === SpacingMark || before === Prepend) return true;
  if (before === L) return after === L || after === V || after === LV || after === LVT;
  if (before === LV || before === V) return after === V || after === T;
  return (before === LVT || before === T) && after === T;
}

function isControl(grapheme: number): boolean {
  return grapheme === Control || grapheme === CR || grapheme === LF;
}

function widthOf(lead: number): number {
  return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}
