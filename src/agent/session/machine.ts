/**
 * One session's place in the state table: the only code that changes state. Events are taken one
 * at a time; each transition's actions are run in order by the session's executors.
 */
import { messageOf } from '../../errors.js';
import type { Action, Event, Role, State } from '../../failover/states.js';
import { rowFor, transition } from '../../failover/table.js';
import { LOG_EVENTS, type Log } from '../log.js';
import type { Reason } from '../status.js';

export type Executors = Partial<Record<Action, () => Promise<void> | void>>;

export class SessionMachine {
  #state: State = 'unprotected';
  #since = new Date();
  #reason: Reason | undefined;
  #tail: Promise<void> = Promise.resolve();

  constructor(
    private readonly role: Role,
    private readonly executors: Executors,
    private readonly log: Log,
    private readonly onChanged: () => void,
  ) {}

  get state(): State {
    return this.#state;
  }
  get since(): Date {
    return this.#since;
  }
  get reason(): Reason | undefined {
    return this.#reason;
  }

  /** Whether `event` has a meaning in the present state. */
  accepts(event: Event): boolean {
    return rowFor(this.role, this.#state, event) !== undefined;
  }

  /**
   * Changes the state at once and queues its actions; resolves when they are done. Rejects with
   * `FAILOVER_NOT_NOW` when the event has no meaning now, or with what an action threw.
   */
  raise(event: Event, reason?: Reason): Promise<void> {
    let actions: readonly Action[];
    try {
      const row = transition(this.role, this.#state, event);
      this.log.info(LOG_EVENTS.stateChanged, {
        from: this.#state,
        to: row.to,
        on: event,
        because: row.because,
        ...(reason === undefined ? {} : { reason }),
      });
      this.#state = row.to;
      this.#since = new Date();
      this.#reason = reason;
      actions = row.actions;
    } catch (error) {
      return Promise.reject(error);
    }
    this.onChanged();
    const done = this.#tail.then(async () => {
      for (const action of actions) await this.executors[action]?.();
    });
    // The queue goes on after a failed action; whoever raised the event gets the failure.
    this.#tail = done.catch(() => undefined);
    return done;
  }

  /** Raises `event` if it has a meaning now; otherwise nothing happens. */
  async raiseIfMeaningful(event: Event, reason?: Reason): Promise<boolean> {
    if (!this.accepts(event)) return false;
    await this.raise(event, reason);
    return true;
  }

  /** The same for a caller that cannot act on a failure: what an action threw is logged here. */
  async raiseAndLog(event: Event, reason?: Reason): Promise<void> {
    try {
      await this.raiseIfMeaningful(event, reason);
    } catch (error) {
      this.log.error(LOG_EVENTS.teardown, { on: event, error: messageOf(error) });
    }
  }
}
