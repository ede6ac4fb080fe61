/** Input and output of tokenize: the part of the corpus that the small models need, as token stores. */
import { z } from "zod";
import { BAD_DOCUMENT_POLICIES } from "../../formats/shard.ts";
import { domainRule } from "../../manifest/domain-rule.ts";
import { countOutput, tokenizerDescriptor, transformReference } from "../count/contract.ts";

export const tokenizeInput = z.strictObject({
  root: z.string(),
  /** in the folder of count */
  shards: countOutput.shape.shards,
  domains: z.array(z.string()),
  domainRule,
  /** of the models; one of those that count counted with */
  tokenizer: tokenizerDescriptor,
  textColumn: z.string(),
  domainColumn: z.string().nullable(),
  transform: transformReference.nullable(),
  onBadDocument: z.enum(BAD_DOCUMENT_POLICIES),
  heldOut: z.union([
    z.strictObject({ kind: z.literal("fraction"), fraction: z.number(), minDocuments: z.int() }),
    z.strictObject({ kind: z.literal("files") }),
    z.strictObject({ kind: z.literal("none") }),
  ]),
  sequenceLength: z.int(),
  /** tokens that training draws from each domain */
  referenceTokens: z.array(z.number()),
  proxyTokens: z.array(z.number()),
  /** held-out tokens wanted from each domain */
  evaluationTokens: z.number(),
  /** of the models */
  vocabulary: z.enum(["full", "occurring"]),
  /** of which documents training reads, and which model reads which of them */
  seed: z.int(),
  /** of which documents are held out and evaluated on: the pipeline's, whatever the seed of the training */
  heldOutSeed: z.int(),
});

/** A Megatron indexed dataset: `<path>.bin` and `<path>.idx` in the stage's folder. */
const store = z.strictObject({
  path: z.string(),
  documents: z.int(),
  tokens: z.int(),
  /** of what it is made of, which is known before it is made: its documents, by the content of their shards, and the tokenizer */
  fingerprint: z.string(),
});

export const tokenizeOutput = z.strictObject({
  tokenizer: z.strictObject({
    name: z.string(),
    fingerprint: z.string(),
    vocabularySize: z.int(),
    endOfText: z.int().nullable(),
  }),
  /** the ids that occur, where the models know no others */
  vocabulary: z
    .strictObject({
      /** JSON, in the stage's folder */
      path: z.string(),
      size: z.int(),
      sha256: z.string(),
      /** place of the tokenizer's end-of-text token among them */
      endOfText: z.int().nullable(),
    })
    .nullable(),
  sequenceLength: z.int(),
  domains: z.array(
    z.strictObject({
      name: z.string(),
      reference: store,
      /** the same store as reference's where the domain is too small for disjoint ones */
      proxy: store,
      disjoint: z.boolean(),
      /** null where the domain has no held-out document */
      heldOut: store.nullable(),
    }),
  ),
  notes: z.array(z.string()),
});

export type TokenizeInput = z.output<typeof tokenizeInput>;
export type TokenizeOutput = z.output<typeof tokenizeOutput>;
export type TokenStoreReference = z.output<typeof store>;
