/**
 * What the Arrow files of a training say of the run that they are of, in their schema's metadata: the domains' names,
 * and of a proxy all that its objective had to know, so that its weights can be computed again from the file alone.
 */
import { z } from "zod";
import type { ErrorCode } from "../lib/error-codes.ts";
import { DoremiError } from "../lib/errors.ts";
import type { ObjectiveFacts } from "../mixture/objective.ts";
import type { ObjectiveSettings } from "../mixture/objective-settings.ts";
import { completeObjective } from "./proxy/objective.ts";

export const DOMAINS_KEY = "doremi.domains";
export const PROXY_KEY = "doremi.proxy";
const VERSION = 1;

export interface RecordedProxy {
  readonly objective: ObjectiveSettings;
  readonly facts: ObjectiveFacts;
  readonly seed: number;
  /** whether a reference's losses were there to compare with; if not, excess is the loss itself */
  readonly reference: boolean;
}

/** @param proxy null for a training that learns no weights */
export function recordMetadata(domains: readonly string[], proxy: RecordedProxy | null): ReadonlyMap<string, string> {
  const metadata = new Map([[DOMAINS_KEY, JSON.stringify(domains)]]);
  if (proxy) metadata.set(PROXY_KEY, JSON.stringify({ version: VERSION, ...proxy }));
  return metadata;
}

const shares = z.array(z.number());
const recordedProxy = z.strictObject({
  version: z.literal(VERSION),
  objective: completeObjective,
  facts: z.strictObject({
    domains: z.int().positive(),
    start: shares,
    sampling: shares,
    reference: shares,
    sizes: shares,
    sequenceLength: z.int().positive(),
    vocabularySize: z.int().positive(),
  }),
  seed: z.number(),
  reference: z.boolean(),
});

/** @throws DoremiError not-a-trace, other-version, corrupt-file */
export function readRecordMetadata(
  metadata: ReadonlyMap<string, string>,
  path: string,
): { readonly domains: readonly string[]; readonly proxy: RecordedProxy } {
  const fault = (code: ErrorCode, message: string) =>
    new DoremiError("bad-data", code, `${path}: ${message}`, { file: path });
  const [names, text] = [metadata.get(DOMAINS_KEY), metadata.get(PROXY_KEY)];
  if (names === undefined) {
    throw fault("not-a-trace", "must be the trace or the trajectory of a proxy; it is an Arrow file of something else");
  }
  if (text === undefined) {
    throw fault(
      "not-a-trace",
      "must be the trace or the trajectory of a proxy; it is of a training that learned no weights, or of an earlier version",
    );
  }
  try {
    const found: unknown = JSON.parse(text);
    const version = (found as { version?: unknown }).version;
    if (version !== VERSION) {
      throw fault(
        "other-version",
        `is of version ${JSON.stringify(version)}, and this program reads ${VERSION}; use the program that wrote it`,
      );
    }
    const { version: _, ...proxy } = recordedProxy.parse(found);
    const domains = z.array(z.string()).length(proxy.facts.domains).parse(JSON.parse(names));
    const { start, sampling, reference, sizes } = proxy.facts;
    for (const values of [start, sampling, reference, sizes]) shares.length(domains.length).parse(values);
    return { domains, proxy };
  } catch (error) {
    if (error instanceof DoremiError) throw error;
    throw fault("corrupt-file", "its metadata is not what a run writes; make it again");
  }
}
