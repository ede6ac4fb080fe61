/**
 * A stage of one's own: writes the shares of the domains as a CSV beside the other results. Use it with
 *
 *     stages:
 *       - { module: ../examples/domain-report.mjs, after: count }
 */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";

const input = z.object({
  options: z.object({ tokenizer: z.string().optional() }),
  outputs: z.object({ count: z.looseObject({ tokenizers: z.array(z.looseObject({ name: z.string() })), domains: z.array(z.any()) }) }),
});

export default {
  name: "domain-report",
  version: 1,
  input,
  output: z.object({ file: z.string(), domains: z.number() }),
  async run({ options, outputs }, context) {
    const tokenizer = options.tokenizer ?? outputs.count.tokenizers[0].name;
    const total = outputs.count.domains.reduce((sum, domain) => sum + domain.tokens[tokenizer], 0);
    const lines = outputs.count.domains.map(
      ({ name, documents, tokens }) => `${JSON.stringify(name)},${documents},${tokens[tokenizer]},${(tokens[tokenizer] / total).toFixed(6)}`,
    );
    await writeFile(join(context.folder, "domains.csv"), ["domain,documents,tokens,share", ...lines, ""].join("\n"));
    return { file: "domains.csv", domains: outputs.count.domains.length };
  },
};
