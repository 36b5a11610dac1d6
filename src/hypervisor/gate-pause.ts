/** The fast pause: everything inside one command, the guest resumed by QEMU itself. */
import type { NativeCapture } from '../native.js';
import type { ProtectedDomain } from './domain.js';
import { type GateOptions, PauseGate, type PreparedPause } from './gate.js';
import { PAUSE_TIMEOUT_MS } from './limits.js';
import { bounded } from './monitor.js';
import type { Capturing, PausedCapture, PauseSource, ReadyPause } from './pause-source.js';
import { letRun, runState } from './run-state.js';

/** QEMU's run state inside the gate; an operator's pause is "paused" and is left alone. */
const STATE_INSIDE_GATE = 'save-vm';

interface PreparedCapture extends PreparedPause {
  captured: Promise<NativeCapture>;
  over: Promise<void>;
}

export class GatePause implements PauseSource {
  readonly mode = 'gate';
  readonly #domain: ProtectedDomain;
  readonly #options: GateOptions;
  #gate: PauseGate | undefined;
  #prepared: PreparedCapture | undefined;
  /** The command of the last pause; never rejects. */
  #settling: Promise<void> = Promise.resolve();

  constructor(domain: ProtectedDomain, options: GateOptions) {
    this.#domain = domain;
    this.#options = options;
  }

  async pauseAndCapture(capture: Capturing): Promise<PausedCapture> {
    await this.#settling;
    this.#gate ??= new PauseGate(this.#domain, this.#options);
    const gate = this.#gate;
    const prepared = this.#takePrepared();
    prepared?.fire();
    let saveFailure: { error: unknown } | undefined;
    const saved = (prepared?.saved ?? gate.pause()).catch((error: unknown) => {
      saveFailure = { error };
      // Nobody comes any more: the capture need not wait for its time limit.
      gate.close();
    });
    let captured: NativeCapture;
    try {
      captured = await (prepared?.captured ?? capture({ gateFd: gate.readFd }));
    } catch (error) {
      // What failed first is the cause; the other failure is its consequence.
      const cause = saveFailure?.error ?? error;
      await this.#abandon(gate, saved);
      throw cause;
    }
    const settled = (async () => {
      try {
        await this.#answered(saved);
        if (saveFailure !== undefined) throw saveFailure.error;
      } catch (error) {
        await this.#abandon(gate, saved);
        throw error;
      }
    })();
    this.#settling = settled.catch(() => undefined);
    return { capture: captured, deviceState: captured.deviceState, settled };
  }

  /** The capture waits at the gate from now on. Not before the last pause's has ended. */
  prepare(capture: Capturing): ReadyPause {
    if (this.#prepared !== undefined) return this.#prepared;
    this.#gate ??= new PauseGate(this.#domain, this.#options);
    const pause = this.#gate.prepare();
    const captured = capture({ gateFd: this.#gate.readFd, begin: pause.trigger });
    // How is met by whoever goes through with the pause, or forgoes it.
    const over = captured.then(
      () => undefined,
      () => undefined,
    );
    const prepared = { ...pause, captured, over };
    this.#prepared = prepared;
    prepared.saved.catch(() => this.#wayIsLost(prepared));
    return prepared;
  }

  /** The monitor went before the command was wanted: the next pause finds another way. */
  #wayIsLost(prepared: PreparedCapture): void {
    if (this.#prepared !== prepared || !prepared.cancel()) return;
    this.#prepared = undefined;
    this.#gate?.close();
    this.#gate = undefined;
  }

  begunAtMs(): number | undefined {
    const begunAtNs = this.#prepared?.begunAtNs() ?? 0n;
    return begunAtNs === 0n ? undefined : Number(begunAtNs) / 1e6;
  }

  async forgoPause(): Promise<void> {
    const prepared = this.#takePrepared();
    const gate = this.#gate;
    if (prepared === undefined || gate === undefined) return;
    const saved = prepared.saved.catch(() => undefined);
    if (!prepared.cancel()) await this.#abandon(gate, saved);
    else {
      // Nobody will come; the capture goes home.
      this.#gate = undefined;
      gate.close();
    }
    await prepared.captured.catch(() => undefined);
  }

  async close(): Promise<void> {
    await this.#settling;
    await this.forgoPause();
    this.#gate?.close();
    this.#gate = undefined;
  }

  #takePrepared(): PreparedCapture | undefined {
    const prepared = this.#prepared;
    this.#prepared = undefined;
    return prepared;
  }

  /** Frees a QEMU that is blocked in the gate; the next pause opens a new one. */
  async #abandon(gate: PauseGate, saved: Promise<void>): Promise<void> {
    this.#gate = undefined;
    // It leads to this gate.
    this.#takePrepared()?.cancel();
    gate.close();
    await this.#answered(saved);
    if ((await runState(this.#domain)) === STATE_INSIDE_GATE) await letRun(this.#domain);
  }

  /** The gate is drained or closed: nothing holds QEMU any longer. */
  #answered(saved: Promise<void>): Promise<void> {
    return bounded(saved, PAUSE_TIMEOUT_MS, { operation: 'pause', domain: this.#domain.name });
  }
}
