/** `data`: which shards and documents there are, and whose domain they are. */
import { z } from "zod";
import { BAD_DOCUMENT_POLICIES } from "../../formats/shard.ts";
import type { UnlistedPolicy } from "../../manifest/domain-rule.ts";
import type { SettingFault } from "../../trainer/settings.ts";
import { fraction, name, patterns, refuse } from "./common.ts";

const heldOut = z
  .union([
    z.strictObject({
      fraction: fraction.max(0.5).describe("Share of each domain's documents, chosen by the seed."),
      minDocuments: z.int().min(0).default(4).describe("At least this many of each domain (never more than half)."),
    }),
    z.strictObject({
      files: patterns.describe("Shards that are held out whole; {domain} as in data.files."),
    }),
    z.literal("none"),
  ])
  .describe("Documents that no model is trained on and the manifest never selects.");

const transform = z.union([
  z
    .string()
    .min(1)
    .transform((module) => ({ module, columns: [] as string[], options: {} as Record<string, unknown> })),
  z.strictObject({
    module: z.string().min(1).describe("Module whose default export is (batch, context) => batch."),
    columns: z.array(z.string().min(1)).default([]).describe("Further columns to give it, such as a quality score."),
    options: z.record(z.string(), z.unknown()).default({}),
  }),
]);

/** A domain of the map that is not among those listed could have no document. */
function mapFaults({
  domains,
  domainMap,
  onUnlistedDomain,
}: {
  readonly domains?: readonly string[] | Readonly<Record<string, unknown>> | undefined;
  readonly domainMap?: Readonly<Record<string, string>> | undefined;
  readonly onUnlistedDomain: UnlistedPolicy;
}): SettingFault[] {
  if (!domains || !domainMap) return [];
  const listed = new Set<string>(Array.isArray(domains) ? domains : Object.keys(domains));
  if (typeof onUnlistedDomain === "object") listed.add(onUnlistedDomain.domain);
  const unlisted = Object.values(domainMap).find((domain) => !listed.has(domain));
  if (unlisted === undefined) return [];
  return [
    {
      setting: "domainMap",
      rule: "name domains that data.domains lists",
      found: unlisted,
      remedy: "list it, or leave data.domains out: the map names them",
    },
  ];
}

export const data = z
  .strictObject({
    files: patterns
      .optional()
      .describe("The shards. {domain} stands for a part of the path that names the domain: corpus/{domain}/part-*"),
    domains: z
      .union([z.array(name).min(1), z.record(name, z.union([patterns, z.strictObject({ files: patterns })]))])
      .optional()
      .describe(
        "The domains and their order: a list of names, or a table of name to files. Default: all found, sorted.",
      ),
    textColumn: z.string().min(1).default("text").describe("Column of the text; dots go into structs: doc.body.text"),
    domainColumn: z.string().min(1).optional().describe("Column that names each row's domain: meta.pile_set_name"),
    domainMap: z
      .record(z.string(), name)
      .optional()
      .describe(
        "Domain of each value of domainColumn (or of {domain}), where it is not the value itself: { Pile-CC: web, OpenWebText2: web }. Without data.domains, the domains that it names are the domains.",
      ),
    onUnlistedDomain: z
      .union([z.enum(["fail", "drop"]), z.strictObject({ domain: name.describe("Domain that takes it.") })])
      .default("fail")
      .describe(
        "What to do with a row whose domain column is null or says a domain that is not listed: stop, leave it out, or put it into a domain of its own: { domain: other }. (Files whose path names an unlisted domain are left out, with a note, unless a domain takes them.)",
      ),
    onBadShard: z
      .enum(["fail", "skip"])
      .default("fail")
      .describe("What to do with a shard that cannot be read: stop, or leave it out and record it in the manifest."),
    onBadDocument: z
      .enum(BAD_DOCUMENT_POLICIES)
      .default("fail")
      .describe(
        "What to do with a document that is not UTF-8, or a line of JSON without a text: stop, leave it out, or (UTF-8 only) put U+FFFD for each invalid sequence.",
      ),
    maxSkipped: z
      .number()
      .min(0)
      .max(1)
      .default(0.01)
      .describe(
        "Most of a domain that onBadDocument and onBadShard may leave out, as a share of its documents and of its shards' bytes; more stops the run.",
      ),
    hashObjects: z
      .boolean()
      .default(false)
      .describe(
        "Read objects (s3://, gs://, az://, https://) whole, for their SHA-256. Without it the manifest names their version (ETag).",
      ),
    heldOut: heldOut.default({ fraction: 0.01, minDocuments: 4 }),
    transform: transform
      .optional()
      .describe("Module between reading and counting: Arrow batch in, Arrow batch out (filter, clean, relabel)."),
  })
  .check(refuse(mapFaults));
