/**
 * Steps on an engine whose memory is a device's: parameters and optimizer state are its tensors, each step's outputs the
 * next one's inputs. Where nothing stays on the device between calls, one call holds several steps.
 */
import type { EngineTensor, Executable } from "../../engine/engine.ts";
import { elements } from "../../engine/graph.ts";
import type { NamedArray } from "../../formats/safetensors.ts";
import type { TrainingBatch } from "../contract.ts";
import { parameterShapes } from "../model.ts";
import { graphOptimizer, learningRateAt } from "../optimizer.ts";
import { accumulationProgram, lossProgram, stepProgram, updateProgram } from "../programs.ts";
import type { InitialState, StepOutcome, Stepper, StepperSetup, StepRequest } from "./contract.ts";
import {
  type Feeds,
  forwardInParts,
  gradientShape,
  needsForward,
  type PartRuns,
  partsOf,
  runParts,
  shapesOfFeeds,
  wholeFeeds,
} from "./parts.ts";

interface Programs {
  /** one part: gradients and optimizer */
  readonly step?: Executable;
  /** the same for `atOnce` steps */
  readonly steps?: Executable;
  /** several parts */
  readonly accumulation?: Executable;
  readonly update?: Executable;
  /** losses alone */
  readonly forward?: Executable;
}

/** Of several steps in one run, what only the first is fed with: the others' follows from it. */
const isOfFirst = (name: string): boolean => name.startsWith("state/");

export class DeviceStepper implements Stepper, PartRuns {
  readonly atOnce: number;
  readonly #setup: StepperSetup;
  readonly #programs: Programs;
  readonly #feedShapes: Readonly<Record<string, readonly number[]>>;
  readonly #shapes: Readonly<Record<string, readonly number[]>>;
  /** parameter/… and the optimizer's */
  readonly #state: Record<string, EngineTensor> = {};
  #sums: Record<string, EngineTensor> = {};

  private constructor(setup: StepperSetup, programs: Programs, initial: InitialState) {
    const { engine, model, optimizer } = setup;
    this.#setup = setup;
    this.#programs = programs;
    this.atOnce = programs.steps ? engine.runsAtOnce : 1;
    this.#feedShapes = shapesOfFeeds(setup);
    const parameters = parameterShapes(model);
    this.#shapes = {
      ...Object.fromEntries(Object.entries(parameters).map(([name, shape]) => [`parameter/${name}`, shape])),
      ...graphOptimizer(optimizer).stateShapes(parameters),
    };
    for (const [name, shape] of Object.entries(this.#shapes))
      this.#state[name] = engine.tensor(initial(name) ?? new Float32Array(elements(shape)), shape);
  }

  static async create(setup: StepperSetup, initial: InitialState): Promise<DeviceStepper> {
    const { engine, model, optimizer, precision, microBatch } = setup;
    const shape = gradientShape(setup);
    const forward =
      needsForward(setup) || setup.evaluates
        ? { forward: await engine.compile(lossProgram(model, microBatch), { precision }) }
        : {};
    if (partsOf(setup) > 1) {
      const programs = {
        accumulation: await engine.compile(accumulationProgram(shape), { precision }),
        update: await engine.compile(updateProgram(model, optimizer)),
        ...forward,
      };
      return new DeviceStepper(setup, programs, initial);
    }
    const program = stepProgram(shape, optimizer);
    const step = await engine.compile(program, { precision });
    if (engine.runsAtOnce === 1) return new DeviceStepper(setup, { step, ...forward }, initial);
    const perRun = [
      ...Object.keys(shapesOfFeeds(setup)).filter((name) => !isOfFirst(name)),
      ...Object.keys(graphOptimizer(optimizer).scalars(1, setup.steps)),
    ];
    const steps = await engine.compile(program, { precision, repeat: { runs: engine.runsAtOnce, perRun } });
    return new DeviceStepper(setup, { step, steps, ...forward }, initial);
  }

  async run(requests: readonly StepRequest[], lossScale: number, signal?: AbortSignal): Promise<StepOutcome[]> {
    if (this.#programs.steps && requests.length === this.atOnce) return this.#several(requests, lossScale);
    const outcomes: StepOutcome[] = [];
    if (requests.length > 1) throw new RangeError(`steps: a call holds 1 or ${this.atOnce}, found ${requests.length}`);
    for (const request of requests) {
      if (this.#programs.step) {
        const { losses, gradientNorm } = await this.#run(this.#programs.step, this.#feeds(request, lossScale), {});
        outcomes.push({ losses: losses!, gradientNorm: gradientNorm![0]!, learningRate: this.#rate(request.step) });
        continue;
      }
      const losses = await runParts(this.#setup, request, lossScale, this, signal);
      const scalars = this.#tensors({ ...this.#scalars(request.step), gradientScale: Float32Array.of(1 / lossScale) });
      const sums = Object.fromEntries(Object.entries(this.#sums).map(([name, sum]) => [`sum/${name}`, sum]));
      const { gradientNorm } = await this.#runTensors(this.#programs.update!, { ...scalars, ...sums });
      for (const tensor of Object.values(this.#sums)) tensor.dispose();
      this.#sums = {};
      outcomes.push({ losses, gradientNorm: gradientNorm![0]!, learningRate: this.#rate(request.step) });
    }
    return outcomes;
  }

  async forward(feeds: Feeds): Promise<Float32Array> {
    const { losses } = await this.#run(this.#programs.forward!, feeds, {});
    return losses!;
  }

  async gradients(feeds: Feeds, first: boolean): Promise<Float32Array> {
    const { engine, model } = this.#setup;
    if (first) {
      for (const [name, shape] of Object.entries(parameterShapes(model))) {
        this.#sums[name] = engine.tensor(new Float32Array(elements(shape)), shape);
      }
    }
    const sums = Object.fromEntries(Object.entries(this.#sums).map(([name, sum]) => [`sum/${name}`, sum]));
    const { losses } = await this.#run(this.#programs.accumulation!, feeds, sums);
    return losses!;
  }

  losses(batch: Pick<TrainingBatch, "inputs" | "targets">): Promise<Float32Array> {
    return forwardInParts(this.#setup, batch, this);
  }

  async read(): Promise<Record<string, NamedArray>> {
    const tensors: Record<string, NamedArray> = {};
    for (const [name, shape] of Object.entries(this.#shapes))
      tensors[name] = { shape, data: Float32Array.from(await this.#state[name]!.read()) };
    return tensors;
  }

  async finish(): Promise<Record<string, Float32Array>> {
    const parameters: Record<string, Float32Array> = {};
    for (const name of Object.keys(parameterShapes(this.#setup.model)))
      parameters[name] = Float32Array.from(await this.#state[`parameter/${name}`]!.read());
    await this.close();
    return parameters;
  }

  async close(): Promise<void> {
    for (const tensor of [...Object.values(this.#state), ...Object.values(this.#sums)]) tensor.dispose();
    for (const executable of Object.values(this.#programs)) await executable?.close();
  }

  /** The feeds of an undivided batch with what the optimizer takes. */
  #feeds(request: StepRequest, lossScale: number): Feeds {
    const scalars = { ...this.#scalars(request.step), gradientScale: Float32Array.of(1 / lossScale) };
    return { ...wholeFeeds(this.#setup, request, lossScale), ...scalars };
  }

  async #several(requests: readonly StepRequest[], lossScale: number): Promise<StepOutcome[]> {
    const all = requests.map((request) => this.#feeds(request, lossScale));
    const { engine } = this.#setup;
    const tensors: Record<string, EngineTensor> = {};
    for (const [name, first] of Object.entries(all[0]!)) {
      const shape = this.#feedShapes[name] ?? [];
      if (isOfFirst(name) || name === "gradientScale") {
        tensors[name] = engine.tensor(first, shape);
        continue;
      }
      const joined = new (first.constructor as Float32ArrayConstructor)(first.length * all.length);
      for (const [i, feeds] of all.entries()) joined.set(feeds[name]! as Float32Array, i * first.length);
      tensors[name] = engine.tensor(joined, [all.length, ...shape]);
    }
    const { losses, gradientNorm } = await this.#runTensors(this.#programs.steps!, tensors);
    const size = losses!.length / requests.length;
    return requests.map(({ step }, i) => ({
      losses: losses!.slice(i * size, (i + 1) * size),
      gradientNorm: gradientNorm![i]!,
      learningRate: this.#rate(step),
    }));
  }

  #rate(step: number): number {
    return learningRateAt(this.#setup.optimizer, step, this.#setup.steps);
  }

  #scalars(step: number): Feeds {
    const scalars = graphOptimizer(this.#setup.optimizer).scalars(step, this.#setup.steps);
    return Object.fromEntries(Object.entries(scalars).map(([name, value]) => [name, Float32Array.of(value)]));
  }

  #tensors(feeds: Feeds): Record<string, EngineTensor> {
    return Object.fromEntries(
      Object.entries(feeds).map(([name, data]) => [
        name,
        this.#setup.engine.tensor(data, this.#feedShapes[name] ?? []),
      ]),
    );
  }

  #run(executable: Executable, feeds: Feeds, more: Readonly<Record<string, EngineTensor>>) {
    return this.#runTensors(executable, { ...this.#tensors(feeds), ...more });
  }

  /**
   * Runs on the state and the inputs, which it disposes unless they come out again. What the next run needs stays on the
   * device, the rest is read.
   */
  async #runTensors(
    executable: Executable,
    inputs: Readonly<Record<string, EngineTensor>>,
  ): Promise<Record<string, Float32Array>> {
    const outputs = await executable.run({ ...this.#state, ...inputs });
    const read: Record<string, Float32Array> = {};
    for (const [name, tensor] of Object.entries(outputs)) {
      const next = /^next\/(.*)$/.exec(name)?.[1];
      if (next !== undefined && next in this.#state) {
        this.#state[next]!.dispose();
        this.#state[next] = tensor;
      } else if (next?.startsWith("sum/")) {
        const sum = next.slice("sum/".length);
        this.#sums[sum]!.dispose();
        this.#sums[sum] = tensor;
      } else {
        if (next === undefined) read[name] = Float32Array.from(await tensor.read());
        tensor.dispose();
      }
    }
    for (const [name, tensor] of Object.entries(inputs)) if (!name.startsWith("sum/")) tensor.dispose();
    return read;
  }
}
