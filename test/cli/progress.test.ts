/** The three displays over the same events, with a clock that the tests move. */
import { describe, expect, it } from "vitest";
import type { Clock, LogStream } from "../../src/cli/progress/contract.ts";
import { chooseFormat, openDisplay } from "../../src/cli/progress/display.ts";
import { JsonLog } from "../../src/cli/progress/json-log.ts";
import { bar } from "../../src/cli/progress/lines.ts";
import { LiveDisplay } from "../../src/cli/progress/live-display.ts";
import { TextLog } from "../../src/cli/progress/text-log.ts";
import { Meter } from "../../src/pipeline/meter.ts";
import type { StageEvent } from "../../src/stages/stage.ts";

class FakeClock implements Clock {
  ms = 0;
  now() {
    return this.ms;
  }
  date() {
    return new Date(this.ms);
  }
}

class Recorder implements LogStream {
  readonly isTTY: boolean;
  readonly columns: number;
  text = "";
  constructor(columns = 100, isTTY = true) {
    this.columns = columns;
    this.isTTY = isTTY;
  }
  write(text: string) {
    this.text += text;
  }
  /** What a terminal shows, given the sequences that the display uses: up n lines, clear below. */
  screen(): string[] {
    const lines: string[] = [];
    // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal sequences
    for (const part of this.text.split(/(\r\x1b\[\d+A\x1b\[0J)/)) {
      // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal sequences
      const up = /^\r\x1b\[(\d+)A/.exec(part)?.[1];
      if (up !== undefined) lines.length -= Number(up);
      else lines.push(...part.split("\n").slice(0, -1));
    }
    return lines;
  }
}

function progress(
  done: number,
  total = 1000,
  figures?: Record<string, number>,
): Extract<StageEvent, { type: "progress" }> {
  return { type: "progress", stage: "count", done, total, unit: "bytes", ...(figures && { figures }) };
}

describe("Meter", () => {
  it("gives the rate since the first event, not since zero", () => {
    const meter = new Meter(0);
    meter.update(progress(500), 1000);
    expect(meter.read(1000)).toMatchObject({ rate: undefined, secondsLeft: undefined });
    meter.update(progress(600), 2000);
    expect(meter.read(2000)).toMatchObject({ rate: 100, secondsLeft: 4, worked: 100 });
  });

  it("follows a change of speed", () => {
    const meter = new Meter(0);
    for (let second = 0; second <= 60; second++) meter.update(progress(second * 10, 1e6), second * 1000);
    for (let second = 61; second <= 120; second++)
      meter.update(progress(600 + (second - 60) * 100, 1e6), second * 1000);
    expect(meter.read(120_000)!.rate).toBeCloseTo(100, 6);
  });

  it("lets the rate fall while nothing comes", () => {
    const meter = new Meter(0);
    meter.update(progress(0), 0);
    meter.update(progress(100), 1000);
    expect(meter.read(1000)!.rate).toBe(100);
    expect(meter.read(10_000)!.rate).toBe(10);
  });

  it("begins again with another pass and never shows more than all", () => {
    const meter = new Meter(0);
    meter.update(progress(900), 0);
    meter.update(progress(1001), 1000);
    expect(meter.read(1000)!.done).toBe(1000);
    meter.update(progress(100), 2000);
    expect(meter.read(2000)!.rate).toBeUndefined();
  });

  it("smooths the speed that a stage reports", () => {
    const meter = new Meter(0);
    meter.update(progress(1, 10, { tokensPerStep: 1000 }), 0);
    meter.update(progress(3, 10, { tokensPerStep: 2000 }), 1000);
    expect(meter.read(1000)).toMatchObject({ rate: 2, figures: { tokensPerSecond: 2 * 1100 } });
    expect(meter.read(1000)!.figures).not.toHaveProperty("tokensPerStep");
  });
});

it("the bar grows by eighths and keeps its width", () => {
  expect(bar(0, 4)).toBe("    ");
  expect(bar(0.5, 4)).toBe("██  ");
  expect(bar(0.28125, 4)).toBe("█▏  ");
  expect(bar(2, 4)).toBe("████");
});

describe("LiveDisplay", () => {
  it("keeps one live line below what is settled", () => {
    const [clock, stream] = [new FakeClock(), new Recorder()];
    const display = new LiveDisplay(stream, clock);
    display.event({ type: "unchanged", stage: "discover" });
    display.event({ type: "start", stage: "count" });
    for (let done = 0; done <= 500; done += 100) {
      clock.ms += 1000;
      display.event(progress(done * 1e6, 1e9, { loss: 4.56789 }));
    }
    expect(stream.screen()).toEqual([
      "= discover    unchanged",
      "  count       ██████████            50%  500 MB of 1.00 GB  100 MB/s  loss 4.568  0:05 left",
    ]);
    display.event({ type: "note", stage: "count", message: "left out a.parquet" });
    display.event({ type: "warning", stage: "proxy", code: "no-excess", step: 1200, message: "no excess" });
    expect(stream.screen()).toHaveLength(4);
    expect(stream.screen().slice(1, 3)).toEqual([
      "  count       note: left out a.parquet",
      "! proxy       warning: step 1,200: no excess [no-excess]",
    ]);
    display.event({ type: "done", stage: "count", durationMs: 12_400 });
    display.close();
    expect(stream.screen()).toEqual([
      "= discover    unchanged",
      "  count       note: left out a.parquet",
      "! proxy       warning: step 1,200: no excess [no-excess]",
      expect.stringMatching(/^✓ count {11}12\.4 s {2}1\.00 GB of 1\.00 GB {2}40\.3 MB\/s {2}loss 4\.568$/),
    ]);
  });

  it("shows several stages at once and cuts lines to the terminal", () => {
    const [clock, stream] = [new FakeClock(), new Recorder(40)];
    const display = new LiveDisplay(stream, clock);
    display.event({ type: "start", stage: "reference" });
    display.event({ type: "start", stage: "proxy" });
    clock.ms = 1000;
    display.event({ type: "progress", stage: "proxy", done: 1, total: 400, unit: "steps", figures: { loss: 8 } });
    const lines = stream.screen();
    expect(lines).toHaveLength(2);
    expect(lines[0]).toBe("  reference   1.00 s");
    expect(lines[1]).toMatch(/^ {2}proxy .*…$/);
    expect(lines[1]!.length).toBeLessThanOrEqual(39);
    display.close();
    expect(stream.screen()).toEqual([]);
  });

  it("draws at most ten times a second", () => {
    const [clock, stream] = [new FakeClock(), new Recorder()];
    const display = new LiveDisplay(stream, clock);
    display.event({ type: "start", stage: "count" });
    for (clock.ms = 200; clock.ms < 1200; clock.ms += 1) display.event(progress(clock.ms));
    display.close();
    expect(stream.text.split("count").length - 1).toBeLessThanOrEqual(11);
  });
});

describe("JsonLog", () => {
  it("writes a line per event and thins progress to one a second and the last", () => {
    const [clock, stream] = [new FakeClock(), new Recorder(80, false)];
    const log = new JsonLog(stream, clock);
    log.event({ type: "start", stage: "count" });
    for (let done = 0; done <= 1000; done += 10) {
      clock.ms += 25;
      log.event(progress(done, 1000, { loss: 3.5 }));
    }
    log.event({ type: "done", stage: "count", durationMs: 2525.25 });
    const lines = stream.text
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    expect(lines.map((line) => line.event)).toEqual(["start", "progress", "progress", "progress", "progress", "done"]);
    expect(lines[0]).toEqual({ time: "1970-01-01T00:00:00.000Z", event: "start", stage: "count" });
    expect(lines[2]).toMatchObject({
      stage: "count",
      done: 400,
      total: 1000,
      unit: "bytes",
      perSecond: 400,
      secondsLeft: 2,
      loss: 3.5,
    });
    expect(lines[4]).toMatchObject({ done: 1000, secondsLeft: 0 });
    expect(lines[5]).toMatchObject({ durationMs: 2525 });
  });
});

describe("TextLog", () => {
  it("writes plain lines, progress every ten seconds", () => {
    const [clock, stream] = [new FakeClock(), new Recorder(80, false)];
    const log = new TextLog(stream, clock);
    log.event({ type: "start", stage: "count" });
    for (let done = 0; done < 1000; done += 40) {
      clock.ms += 1000;
      log.event(progress(done));
    }
    log.event({ type: "done", stage: "count", durationMs: 25_000 });
    expect(stream.text.trim().split("\n")).toEqual([
      "count       started",
      "count        36%  360 B of 1.00 kB  40 B/s  0:16 left",
      "count        76%  760 B of 1.00 kB  40 B/s  0:06 left",
      "count       done in 25.0 s",
    ]);
    expect(stream.text).not.toContain("\x1b");
  });
});

it("text is for terminals, JSON for everything else", () => {
  expect(chooseFormat(new Recorder(80, true))).toBe("text");
  expect(chooseFormat(new Recorder(80, false))).toBe("json");
  const display = openDisplay("text", new Recorder(80, true));
  expect(display).toBeInstanceOf(LiveDisplay);
  display.close();
  expect(openDisplay("text", new Recorder(80, false))).toBeInstanceOf(TextLog);
  expect(openDisplay("json", new Recorder(80, true))).toBeInstanceOf(JsonLog);
});
