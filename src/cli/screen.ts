/**
 * A terminal that is drawn on in place. Its own screen is taken and given back as it was, also when the process
 * ends by a signal.
 */
import type { WriteStream } from 'node:tty';

/** xterm's and everybody's: other screen, cursor, home, rest of the line, rest of the screen (ctlseqs). */
const TAKE = '\u001b[?1049h\u001b[?25l';
const GIVE_BACK = '\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const CLEAR_LINE = '\u001b[K';
const CLEAR_BELOW = '\u001b[J';

export class Screen {
  #isTaken = false;
  readonly #giveBack = (): void => this.close();

  constructor(private readonly terminal: WriteStream) {}

  get columns(): number {
    return this.terminal.columns ?? 80;
  }

  open(): void {
    this.terminal.write(TAKE);
    this.#isTaken = true;
    // A process that ends in any other way than by close().
    process.once('exit', this.#giveBack);
  }

  onResized(listener: () => void): void {
    this.terminal.on('resize', listener);
  }

  /** One write, each line over the one that was there: nothing is blank in between. */
  draw(lines: readonly string[]): void {
    const shown = lines.slice(0, Math.max(1, (this.terminal.rows ?? 24) - 1));
    const text = shown.map((line) => `${line}${CLEAR_LINE}\n`).join('');
    this.terminal.write(`${HOME}${text}${CLEAR_BELOW}`);
  }

  close(): void {
    if (!this.#isTaken) return;
    this.#isTaken = false;
    process.off('exit', this.#giveBack);
    this.terminal.write(GIVE_BACK);
  }
}
