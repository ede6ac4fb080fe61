/**
 * The mixed order: which domain gives the next piece. Worst-case fair weighted fair queueing, WF²Q (Bennett and Zhang
 * 1996), with tokens for time. Knows lengths of pieces, not what they are.
 */

/**
 * Domains share the tokens as a fluid would, domain d at the rate T_d ÷ T of its total. Among the domains whose next
 * piece has started in the fluid, c_d ÷ T_d ≤ P ÷ T for c_d tokens given of P in all, the one whose next piece ends first
 * is served: least (c_d + length) ÷ T_d, ties to the lowest index. Quotients are IEEE doubles, each of one division of
 * integers below 2^53, so the order is the same on every machine; and since rounding keeps order, a domain that has
 * started in exact arithmetic has also started here.
 *
 * After every piece −L ≤ c_d − P·T_d ÷ T ≤ (1 − T_d ÷ T)·L_d (theorem 2 and its corollary), with L_d the longest piece
 * of the domain and L the longest of all: a prefix holds every domain within one piece of its share. All domains end
 * together.
 */
export class FairQueue {
  readonly #totals: Float64Array; // [K]
  readonly #total: number;
  readonly #given: Float64Array; // [K] c_d
  readonly #length: Float64Array; // [K] of the piece that is offered
  #tokens = 0; // P
  readonly #waiting: Heap;
  readonly #started: Heap;

  /** @param totals of each domain: the sum of the lengths that it is going to offer, integers ≥ 0 */
  constructor(totals: ArrayLike<number>) {
    this.#totals = Float64Array.from(totals);
    this.#total = this.#totals.reduce((sum, tokens) => sum + tokens, 0);
    this.#given = new Float64Array(totals.length);
    this.#length = new Float64Array(totals.length);
    this.#waiting = new Heap(totals.length);
    this.#started = new Heap(totals.length);
  }

  /** Says how long the domain's next piece is; once at the start, and again after each of its pieces was served. */
  offer(domain: number, length: number): void {
    this.#length[domain] = length;
    this.#waiting.push(domain, share(this.#given[domain]!, this.#totals[domain]!));
  }

  /** The domain whose piece comes next, −1 when none is offered. */
  next(): number {
    const now = share(this.#tokens, this.#total);
    while (this.#waiting.size > 0 && this.#waiting.key <= now) {
      const domain = this.#waiting.pop();
      this.#started.push(domain, share(this.#given[domain]! + this.#length[domain]!, this.#totals[domain]!));
    }
    if (this.#started.size === 0) return -1;
    const domain = this.#started.pop();
    this.#given[domain]! += this.#length[domain]!;
    this.#tokens += this.#length[domain]!;
    return domain;
  }
}

/** Of nothing, all has been given from the start. */
function share(given: number, total: number): number {
  return total === 0 ? 0 : given / total;
}

/** A binary heap of domains: the least key first, then the lowest domain. */
class Heap {
  size = 0;
  readonly #domains: Int32Array;
  readonly #keys: Float64Array;

  constructor(capacity: number) {
    this.#domains = new Int32Array(capacity);
    this.#keys = new Float64Array(capacity);
  }

  /** Of the first. */
  get key(): number {
    return this.#keys[0]!;
  }

  push(domain: number, key: number): void {
    let at = this.size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.#isBehind(parent, key, domain)) break;
      this.#move(parent, at);
      at = parent;
    }
    this.#keys[at] = key;
    this.#domains[at] = domain;
  }

  pop(): number {
    const first = this.#domains[0]!;
    const last = --this.size;
    const key = this.#keys[last]!;
    const domain = this.#domains[last]!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= last) break;
      if (child + 1 < last && this.#isBehind(child, this.#keys[child + 1]!, this.#domains[child + 1]!)) child += 1;
      if (this.#isBehind(child, key, domain)) break;
      this.#move(child, at);
      at = child;
    }
    this.#keys[at] = key;
    this.#domains[at] = domain;
    return first;
  }

  #isBehind(at: number, key: number, domain: number): boolean {
    return this.#keys[at]! > key || (this.#keys[at]! === key && this.#domains[at]! > domain);
  }

  #move(from: number, to: number): void {
    this.#keys[to] = this.#keys[from]!;
    this.#domains[to] = this.#domains[from]!;
  }
}
