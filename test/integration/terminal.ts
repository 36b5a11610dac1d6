/** A program on a pseudo-terminal, as a person has it before them: keys go in, what is drawn comes out. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { eventually } from './lab-steps.js';

const SEEN_TIMEOUT_MS = 60_000;

export class Terminal {
  #output = '';
  readonly #child: ChildProcess;

  /** `script` makes the terminal (script(1)); it is 80 columns wide unless asked otherwise. */
  constructor(
    command: string,
    { columns = 80, env = {} }: { columns?: number; env?: object } = {},
  ) {
    const sized = `stty cols ${columns} rows 24; ${command}`;
    this.#child = spawn('script', ['-qec', sized, '/dev/null'], {
      env: { ...process.env, SHELL: '/bin/bash', TERM: 'xterm', ...env },
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.#child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#output += text;
    });
  }

  get output(): string {
    return this.#output;
  }

  type(keys: string): void {
    this.#child.stdin?.write(keys);
  }

  /** Resolves when `wanted` was drawn. */
  async see(wanted: string | RegExp): Promise<void> {
    await eventually(async () => {
      const isThere =
        typeof wanted === 'string' ? this.#output.includes(wanted) : wanted.test(this.#output);
      if (!isThere) throw new Error(`${wanted} is not in ${JSON.stringify(this.#output)}`);
    }, SEEN_TIMEOUT_MS);
  }

  /** Its exit code. */
  async ended(): Promise<number | null> {
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
    return this.#child.exitCode;
  }

  close(): void {
    this.#child.kill('SIGKILL');
  }
}

/** What is drawn between two returns to the upper left corner, without colours. */
export function screens(output: string): string[][] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: terminals are driven by them
  const colours = /\u001b\[\d+m/g;
  const [, ...frames] = output.split('\u001b[H');
  return frames.map((frame) =>
    (frame.split('\u001b[J')[0] ?? '')
      .split('\r\n')
      .map((line) => line.replaceAll('\u001b[K', '').replace(colours, '')),
  );
}
