/** Runs a program of this machine to its end, whatever its exit code. */
import { execFile } from 'node:child_process';
import { COMMAND_MS_MAX, OUTPUT_BYTES_MAX } from './limits.js';

export interface Outcome {
  /** 128 + the signal's number would be a shell's; -1 when a signal or the time-out ended it. */
  exitCode: number;
  stdout: string;
  stderr: string;
}

/** Undefined when there is no such program. */
export function runProgram(
  file: string,
  args: readonly string[],
  timeoutMs = COMMAND_MS_MAX,
): Promise<Outcome | undefined> {
  return new Promise((resolve) => {
    const options = { encoding: 'utf8', timeout: timeoutMs, maxBuffer: OUTPUT_BYTES_MAX } as const;
    execFile(file, [...args], options, (error, stdout, stderr) => {
      if (error?.code === 'ENOENT') return resolve(undefined);
      const code = error === null ? 0 : error.code;
      resolve({ exitCode: typeof code === 'number' ? code : -1, stdout, stderr });
    });
  });
}
