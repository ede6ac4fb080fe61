/** A diagnosis of the machine as text for a person. Words carry the meaning, marks repeat it. */
import type { Diagnosis } from "../pipeline/doctor.ts";
import { formatBytes, formatDuration, formatInteger } from "./numbers.ts";
import { formatPairs, formatTable, printable } from "./table.ts";

export function doctorLines(diagnosis: Diagnosis): string[] {
  const { machine, disk, node, programs, problems, stores } = diagnosis;
  const { memory } = machine;
  return [
    ...formatPairs([
      ["Node", `${node.version}${node.supported ? "" : `, too old: ${node.needed} is needed`}`],
      ["system", `${machine.platform}, ${printable(machine.processor)}`],
      ["processors", `${machine.processors} that may be used`],
      ["memory", `${formatBytes(memory.limit)}, of which ${formatBytes(memory.available)} are free`],
      ["folder", `${printable(disk.folder)}: ${diskText(disk)}`],
    ]),
    "",
    ...engineLines(diagnosis),
    "",
    ...tokenizerLines(diagnosis),
    "",
    ...formatPairs([
      ...stores.map(
        ({ scheme, found }) =>
          [`${scheme}://`, found.length > 0 ? `found ${found.join(", ")}` : "no credentials found"] as const,
      ),
      ...programs.map(({ name, path, use }) => [name, path ?? `not found; only ${use} needs it`] as const),
    ]),
    ...estimateLines(diagnosis),
    "",
    ...(problems.length === 0
      ? ["✓ a run can work here"]
      : ["✗ a run cannot work here:", ...problems.map((problem) => `  ${printable(problem)}`)]),
  ];
}

function diskText({ freeBytes, writable, syncMs }: Diagnosis["disk"]): string {
  return [
    writable ? "can be written" : "cannot be written",
    ...(freeBytes === null ? [] : [`${formatBytes(freeBytes)} free`]),
    ...(syncMs === null ? [] : [`${syncMs.toFixed(1)} ms to make a write durable`]),
  ].join(", ");
}

function engineLines({ engines }: Diagnosis): string[] {
  return [
    ...formatTable(
      [
        { header: "engine", align: "left" },
        { header: "", align: "left" },
        { header: "GFLOP/s" },
        { header: "tokens/s of a\n1M model" },
      ],
      engines.map(({ name, usable, chosen, gflops, training }) => [
        name,
        usable ? (chosen ? "✓ works, auto takes it" : "✓ works") : "– missing",
        gflops === null ? "" : formatInteger(Math.round(gflops)),
        training === null ? "" : formatInteger(Math.round(training.tokensPerSecond)),
      ]),
    ),
    ...engines.flatMap(({ name, usable, why, remedy }) => [
      `${name}: ${printable(why)}${usable || remedy === undefined ? "" : `; ${printable(remedy)}`}`,
    ]),
  ];
}

function tokenizerLines({ tokenizers }: Diagnosis): string[] {
  return formatTable(
    [
      { header: "tokenizer", align: "left" },
      { header: "opens in" },
      { header: "counts, a thread" },
      { header: "", align: "left" },
    ],
    tokenizers.map(({ name, fault, openMs, bytesPerSecond }) => [
      printable(name),
      openMs === null ? "" : formatDuration(openMs),
      bytesPerSecond === null ? "" : `${formatBytes(bytesPerSecond)}/s`,
      fault === null ? "" : `✗ ${printable(fault)}`,
    ]),
  );
}

function estimateLines({ estimates }: Diagnosis): string[] {
  if (estimates.length === 0) return [];
  return [
    "",
    "Trainings with the engine that auto takes, at the measured speed:",
    ...formatPairs(estimates.map(({ what, seconds }) => [`  ${what}`, `~ ${formatDuration(seconds * 1000)}`] as const)),
  ];
}
