/** Runs one system command to its end: bounded in time and output, an error unless it succeeds. */
import { execFile } from 'node:child_process';
import { labError } from './errors.js';
import { COMMAND_OUTPUT_BYTES_MAX, COMMAND_TIMEOUT_MS } from './limits.js';

export interface CommandOptions {
  timeoutMs?: number;
  /** Written to the command's stdin. */
  input?: string;
  env?: NodeJS.ProcessEnv;
  /** Exit codes that are answers and not failures; default: 0. */
  exitCodes?: readonly number[];
}

export interface CommandResult {
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** Resolves when `file` exits with 0 or an expected code. @throws LAB_COMMAND_FAILED otherwise, with what it printed. */
export function runCommand(
  file: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const timeoutMs = options.timeoutMs ?? COMMAND_TIMEOUT_MS;
  return new Promise((resolve, reject) => {
    const child = execFile(
      file,
      [...args],
      {
        timeout: timeoutMs,
        killSignal: 'SIGKILL',
        maxBuffer: COMMAND_OUTPUT_BYTES_MAX,
        env: options.env ?? process.env,
      },
      (error, stdout, stderr) => {
        const exitCode = error === null ? 0 : error.code;
        if (typeof exitCode === 'number' && (options.exitCodes ?? [0]).includes(exitCode)) {
          return resolve({ exitCode, stdout, stderr });
        }
        const why = error?.killed
          ? `killed after ${timeoutMs} ms`
          : (stderr || (error?.message ?? `exit code ${exitCode}`)).trim();
        reject(
          labError('LAB_COMMAND_FAILED', `${[file, ...args].join(' ')}: ${why}`, { cause: error }),
        );
      },
    );
    // A command that ends without reading its input is judged by its exit code alone.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input ?? '');
  });
}
