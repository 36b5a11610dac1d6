/**
 * The guest: a counter. Each step of work raises it, writes it into a random page of RAM, and may send
 * a packet stamped with it. What was promised outside is therefore in RAM when the stamp is sent.
 */
import type { World } from './world.js';

const PAGES = 12;
/** Mean length of a step, ms, and how many of them come at once at most. */
const STEP_MS = 1.2;
const BURST_STEPS_MAX = 3;
/** How often the guest falls silent, or begins to talk again. */
const MOOD_CHANGE = 0.04;

export class Guest {
  counter = 0;
  readonly pages: number[] = Array.from({ length: PAGES }, () => 0);
  readonly dirty = new Set<number>();
  /** The stamps of all packets, in order. */
  readonly sent: number[] = [];
  /** False: works on, sends no more. */
  mayTalk = true;
  #talking = true;
  #running = true;

  constructor(
    private readonly world: World,
    private readonly tap: (stamp: number) => void,
  ) {
    // Whoever paused the guest is gone: QEMU resumes it when the reader of its gate is (0.1 ms, tried).
    world.onEnd('session', () => world.after('host', 0.1, () => this.resume()));
    this.#planStep();
  }

  get isRunning(): boolean {
    return this.#running;
  }

  pause(): void {
    this.#running = false;
    this.world.moment('paused');
  }

  resume(): void {
    if (this.#running) return;
    this.#running = true;
    this.world.moment('resumed');
  }

  #planStep(): void {
    const { random } = this.world;
    this.world.after('host', random.between(0, STEP_MS * 2), () => {
      if (this.#running) {
        for (let steps = random.integer(1, BURST_STEPS_MAX); steps > 0; steps -= 1) this.#step();
      }
      this.#planStep();
    });
  }

  #step(): void {
    const { random } = this.world;
    this.counter += 1;
    const page = random.integer(0, PAGES - 1);
    this.pages[page] = this.counter;
    this.dirty.add(page);
    if (random.chance(MOOD_CHANGE)) this.#talking = !this.#talking;
    if (!this.mayTalk || !this.#talking || random.chance(0.3)) return;
    this.sent.push(this.counter);
    this.world.note(`guest sends ${this.counter}`);
    this.tap(this.counter);
  }
}
