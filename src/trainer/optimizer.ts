/**
 * Optimizers and their schedules. One update rule (optimizer/update-rule.ts) is carried out in place in WebAssembly
 * memory, for engines whose memory is the host's, or as TensorFlow.js ops, for those that keep the state on a device.
 */
export { type GraphOptimizer, graphOptimizer } from "./optimizer/graph.ts";
export { createHostOptimizer, type HostOptimizer } from "./optimizer/host.ts";
export { optimizerStateShapes } from "./optimizer/rules.ts";
export { learningRateAt } from "./optimizer/schedule.ts";
