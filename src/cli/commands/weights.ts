/** `doremi weights`: what methods that train nothing make of the domains' sizes or of small runs, side by side. */
import { Command, InvalidArgumentError, Option } from "commander";
import { addCommonOptions, addExample, addPluginsOption, positiveNumber, tokenBudget } from "../options.ts";
import { Session, type SetStatus } from "../session.ts";
import type { WeightsOptions } from "../weights-contract.ts";

export function weightsCommand(setStatus: SetStatus): Command {
  const command = new Command("weights")
    .description(
      "Show the domain weights of methods that train nothing: of a pipeline that has been counted, of a counts file, or " +
        "by regression on the losses of small runs. Runs nothing and changes nothing but --out.",
    )
    .argument("[pipeline.yaml]", "the pipeline file")
    .option("-o, --output <folder>", "folder of the pipeline's results, in place of the pipeline file's")
    .option("--counts <file>", "tokens per domain: a counts.json, or JSON of { domain: tokens }")
    .option("--tokenizer <name>", "whose tokens, where they were counted with several (default: the first)")
    .option(
      "--method <name...>",
      "natural, uniform, temperature, unimax, regression, learned, or a weights.json (default: all that apply)",
    )
    .option("--temperature <T>", "temperature: weights in proportion to tokens^(1/T) (default: 3.3)", positiveNumber)
    .option("--exponent <a>", "temperature: the same as 1/T; 1 is natural, 0 uniform", number)
    .option(
      "--max-epochs <x>",
      "unimax: most epochs of a domain (default: 4); regression: the same as a cap",
      positiveNumber,
    )
    .option("--budget <tokens>", "that epochs are of: a number, 300M, 1.5B (default: the pipeline's)", tokenBudget)
    .option("--regression <runs.csv>", "small runs: weights of the domains, then losses")
    .option("--losses <file.csv>", "regression: the losses, where the runs' file has the mixtures alone")
    .option("--target <name...>", "regression: the loss to minimise; of several their mean (default: all)")
    .addOption(new Option("--fit <law>", "regression (default: log-linear)").choices(["log-linear", "linear", "trees"]))
    .addOption(
      new Option("--search <way>", "regression: the law's optimum, or the mean of the best random mixtures").choices([
        "exact",
        "simulate",
      ]),
    )
    .option("--prior <weights>", "regression: natural, uniform or a weights.json that --kl pulls towards")
    .option(
      "--kl <loss>",
      "regression: loss that a nat of KL divergence from the prior costs (default: 0.1; simulate: 0)",
      number,
    )
    .option("--seed <n>", "regression: of folds and random mixtures (default: the pipeline's)", number)
    .option("--out <file>", "write the weights of the one method, as resample.weights takes them");
  addCommonOptions(addPluginsOption(command));
  addExample(
    command,
    "doremi weights pipelines/quickstart.yaml",
    "doremi weights mine.yaml --method unimax --max-epochs 4 --budget 20B --out weights.json",
    "doremi weights --counts counts.json --method temperature --temperature 3.3",
    "doremi weights mine.yaml --regression runs.csv --target pile-cc --fit log-linear --max-epochs 4",
  );
  return command.action(async (path: string | undefined, options: WeightsOptions) => {
    const session = new Session("weights", options, "text");
    const status = await session.finish(async () => {
      const { weigh } = await import("../weighing.ts");
      const { result, lines } = await weigh(path, options);
      session.summarise(lines);
      return { result };
    });
    setStatus(status);
  });
}

function number(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value < 0) {
    throw new InvalidArgumentError("It must be a number from 0 up.");
  }
  return value;
}
