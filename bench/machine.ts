/** The machine in a line, for a results page: names no host and no folder. */
import { cpus, totalmem, type } from "node:os";

export function machine(): string {
  const cores = cpus();
  const memory = `${Math.round(totalmem() / 2 ** 30)} GiB`;
  return `${cores.length} cores of ${cores[0]?.model.trim() ?? "an unknown processor"}, ${memory}, ${type()}, Node ${process.versions.node}`;
}
