/**
 * A published vocabulary as a file that is read without being looked at: the build makes it (scripts/build-vocabularies.ts)
 * and the counter takes its tables as they are. Little-endian; after the 48 bytes of the header come the token ends, the
 * merges and the tokens' bytes.
 */
import type { Vocabulary } from "./vocabulary.ts";

const HEADER_BYTES = 48; // u32 tokens, merges, bytes, none; then the SHA-256 of the rank file

export interface PublishedVocabulary {
  readonly vocabulary: Vocabulary;
  /** of the rank file that it was made from */
  readonly ranksSha256: string;
}

/**
 * @param ranks id of each token, a string of one character a byte; in ascending order
 * @param merges ids of left, right and result of each merge, in order of priority
 */
export function writePublishedVocabulary(
  ranks: ReadonlyMap<string, number>,
  merges: readonly number[],
  ranksSha256: string,
): Uint8Array {
  const tokens = [...ranks.values()].reduce((most, rank) => Math.max(most, rank + 1), 0);
  const ends = new Uint32Array(tokens + 1);
  for (const [token, rank] of ranks) ends[rank + 1] = token.length;
  for (let id = 0; id < tokens; id++) ends[id + 1]! += ends[id]!;
  const bytes = Buffer.from([...ranks.keys()].join(""), "latin1");
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(tokens, 0);
  header.writeUInt32LE(merges.length / 3, 4);
  header.writeUInt32LE(bytes.length, 8);
  header.write(ranksSha256, 16, "hex");
  return Buffer.concat([header, asBytes(ends), asBytes(Uint32Array.from(merges)), bytes]);
}

export function readPublishedVocabulary(file: Uint8Array): PublishedVocabulary {
  // a buffer from a pool need not begin where u32 may
  const data = file.byteOffset % 4 === 0 ? file : file.slice();
  const words = (at: number, count: number) => new Uint32Array(data.buffer, data.byteOffset + at, count);
  const [tokens, merges, size] = words(0, 3) as unknown as [number, number, number];
  const mergesAt = HEADER_BYTES + 4 * (tokens + 1);
  const bytesAt = mergesAt + 12 * merges;
  return {
    ranksSha256: Buffer.from(data.subarray(16, HEADER_BYTES)).toString("hex"),
    vocabulary: {
      bytes: data.subarray(bytesAt, bytesAt + size),
      ends: words(HEADER_BYTES, tokens + 1),
      merges: words(mergesAt, 3 * merges),
      wholePieces: true,
    },
  };
}

function asBytes(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}
