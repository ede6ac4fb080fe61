/**
 * @huggingface/tokenizers behind the Tokenizer contract, for what the counter does not do. Slower by far: a string per
 * document. honour.ts has made sure that the library does exactly what the file says.
 */
import { Tokenizer as Library } from "@huggingface/tokenizers";
import { DoremiError } from "../lib/errors.ts";
import { toValidUtf8 } from "../lib/utf8.ts";
import { readWhole } from "../storage/files.ts";
import type { LibraryPlan } from "./plan.ts";
import type { Tokenizer, TokenizerDescriptor } from "./tokenizer.ts";
import { bad, type TokenizerJson } from "./tokenizer-json.ts";

/** The library takes some hundred bytes of memory for each character of a piece, and without a splitter a document is one. */
const LONGEST_DOCUMENT = 8 << 20;

export class LibraryTokenizer implements Tokenizer {
  readonly descriptor: TokenizerDescriptor;
  readonly #library: Library;

  private constructor(descriptor: TokenizerDescriptor, library: Library) {
    this.descriptor = descriptor;
    this.#library = library;
  }

  static async open(
    descriptor: TokenizerDescriptor,
    json: TokenizerJson,
    plan: LibraryPlan,
  ): Promise<LibraryTokenizer> {
    const { model } = JSON.parse(Buffer.from(await readWhole(json.path)).toString("utf8"));
    const settings = {
      // special tokens that are text are left out
      added_tokens: plan.added,
      normalizer: json.normalizer,
      pre_tokenizer: plan.preTokenizer,
      model: { ...model, type: json.model.type },
      post_processor: null,
      decoder: null,
    };
    let library: Library;
    try {
      library = new Library(settings, {});
    } catch (cause) {
      // It takes the values of its steps to be of their types.
      throw bad(json.path, `a step of it is not as such a file has it (${(cause as Error).message})`, cause as Error);
    }
    return new LibraryTokenizer(descriptor, library);
  }

  count(bytes: Uint8Array, offsets: Uint32Array, counts: Uint32Array): void {
    for (let i = 0; i < counts.length; i++)
      counts[i] = this.#tokenize(bytes.subarray(offsets[i]!, offsets[i + 1]!)).length;
  }

  encode(bytes: Uint8Array): Uint32Array {
    return Uint32Array.from(this.#tokenize(bytes));
  }

  #tokenize(document: Uint8Array): number[] {
    if (document.length > LONGEST_DOCUMENT) {
      throw new DoremiError(
        "bad-data",
        "document-too-large",
        `tokenizer ${this.descriptor.name}: a document may have ${LONGEST_DOCUMENT} bytes with a tokenizer that is not byte-level; ` +
          `one has ${document.length}; split it or filter it out`,
      );
    }
    const text = toValidUtf8(document);
    const string = Buffer.from(text.buffer, text.byteOffset, text.byteLength).toString("utf8");
    return string.length === 0 ? [] : this.#library.encode(string, { add_special_tokens: false }).ids;
  }
}
