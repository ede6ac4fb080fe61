/** `doremi init` from its options to a written file: asks at a terminal, and tells what was found and what comes next. */
import { access } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { createInterface } from "node:readline/promises";
import { writeFileAtomic } from "../lib/atomic-write.ts";
import { DoremiError } from "../lib/errors.ts";
import { type Ask, type Draft, draftPipeline, type Question } from "../pipeline/init/draft.ts";
import { formatCount } from "../pipeline/init/setting.ts";
import type { InitOptions } from "./init-contract.ts";
import { formatBytes, formatInteger, plural } from "./numbers.ts";
import { ownCommand, quotedPath } from "./paths.ts";
import { formatPairs, printable } from "./table.ts";

/** names of domains in the summary, at most */
const SHOWN_DOMAINS = 12;

export async function initialise(source: string, options: InitOptions) {
  const path = resolve(options.output);
  if (!options.force) await refuseExisting(path, options.output);
  const isTerminal = process.stdin.isTTY === true && process.stderr.isTTY === true;
  const { textColumn, domainColumn, tokenizer, budget } = options;
  const request = {
    source,
    path,
    ...(textColumn !== undefined && { textColumn }),
    ...(domainColumn !== undefined && { domainColumn }),
    ...(tokenizer !== undefined && { tokenizer }),
    ...(budget !== undefined && { budgetTokens: budget }),
    machine: { cores: availableParallelism() },
    takeLikeliest: options.yes === true,
  };
  const draft = await draftPipeline(request, isTerminal && !options.yes ? askAtTerminal : null);
  await writeFileAtomic(path, draft.text);
  const { text: _, ...found } = draft;
  return { result: { pipeline: path, ...found }, lines: summary(draft, options.output) };
}

async function refuseExisting(path: string, shown: string): Promise<void> {
  const exists = await access(path).then(
    () => true,
    () => false,
  );
  if (!exists) return;
  throw new DoremiError(
    "usage",
    "already-there",
    `${shown}: init writes a new file, and there is one already; name another with --output, or write over it with --force`,
    { file: shown },
  );
}

const askAtTerminal: Ask = async ({ text, choices, usual }: Question) => {
  const terminal = createInterface({ input: process.stdin, output: process.stderr });
  try {
    if (choices)
      process.stderr.write(
        `${formatPairs(choices.map(({ value, about }) => [`  ${printable(value)}`, about])).join("\n")}\n`,
      );
    const closed = new Promise<never>((_, reject) => {
      terminal.once("close", () => reject(noAnswer(text)));
    });
    closed.catch(() => {}); // it is closed at the end, too
    for (;;) {
      const question = `${text}${usual === undefined ? "" : ` [${printable(usual)}]`} `;
      const answer = (await Promise.race([terminal.question(question), closed])).trim();
      const value = answer === "" ? usual : answer;
      if (value !== undefined && (!choices || choices.some((choice) => choice.value === value))) return value;
      process.stderr.write("One of those above, please.\n");
    }
  } finally {
    terminal.close();
  }
};

/** Ctrl-C and Ctrl-D. */
function noAnswer(question: string): DoremiError {
  return new DoremiError(
    "interrupted",
    "no-answer",
    `stopped without an answer to “${question}”; nothing was written. Flags answer too: see doremi init --help`,
  );
}

function summary(draft: Draft, output: string): string[] {
  const { domains, estimate, notes } = draft;
  const shown = domains.slice(0, SHOWN_DOMAINS).join(", ");
  const more = domains.length > SHOWN_DOMAINS ? `, … (${formatInteger(domains.length)})` : "";
  return [
    ...formatPairs([
      ["domains", `${shown}${more}${draft.allDomains ? "" : " (in the rows that were looked at)"}`],
      ["known by", draft.domainColumn === null ? draft.domainsFrom : `column ${draft.domainColumn}`],
      ["text", `column ${draft.textColumn}`],
      [
        "shards",
        `${plural(draft.shards, "file")}${draft.heldOutShards > 0 ? `, and ${formatInteger(draft.heldOutShards)} held out` : ""}: ${draft.formats.join(", ")}`,
      ],
      [
        "size",
        `${formatBytes(estimate.bytes)}, about ${formatCount(estimate.tokens)} tokens in ${formatCount(estimate.documents)} documents`,
      ],
      ["tokenizer", draft.tokenizer],
    ]),
    ...notes.map((note) => printable(note)),
    "",
    `${output} is written. Next:`,
    `  ${ownCommand()} plan ${quotedPath(output)}    what would be done, and how long it takes`,
    `  ${ownCommand()} run ${quotedPath(output)}     all of it`,
  ];
}
