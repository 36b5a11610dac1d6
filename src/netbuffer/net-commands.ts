/**
 * Runs ip, tc and bridge in the process's own network namespace: changes as one batch per tool
 * (which stops at its first failing line), questions as JSON. Every run is bounded in time and
 * output. Names in lines must have been checked by `requireInterfaceName`.
 */
import { type ExecFileException, execFile } from 'node:child_process';
import { holdError } from './errors.js';
import { COMMAND_OUTPUT_BYTES_MAX, COMMAND_TIMEOUT_MS } from './limits.js';

export type NetTool = 'ip' | 'tc' | 'bridge';

/** Changes the network; HOLD_COMMAND_FAILED names the first line that was refused. */
export async function runBatch(tool: NetTool, lines: readonly string[]): Promise<void> {
  if (lines.length === 0) return;
  await run(tool, ['-batch', '-'], `${lines.join('\n')}\n`);
}

/** Asks; the parsed answer, or HOLD_COMMAND_UNREADABLE. */
export async function askJson(tool: NetTool, args: readonly string[]): Promise<unknown> {
  const output = await run(tool, ['-json', ...args], '');
  // iproute2 prints nothing at all for some empty lists.
  if (output.trim() === '') return [];
  try {
    return JSON.parse(output);
  } catch (cause) {
    throw holdError('HOLD_COMMAND_UNREADABLE', `${tool} ${args.join(' ')}: not JSON`, { cause });
  }
}

function run(tool: NetTool, args: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      timeout: COMMAND_TIMEOUT_MS,
      killSignal: 'SIGKILL' as const,
      maxBuffer: COMMAND_OUTPUT_BYTES_MAX,
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' },
    };
    const child = execFile(tool, args, options, (failure, stdout, stderr) => {
      if (failure === null) resolve(stdout);
      else reject(commandError(tool, args, input, failure, stderr));
    });
    // A tool that ends before it has read everything reports its own reason.
    child.stdin?.on('error', (cause: NodeJS.ErrnoException) => {
      if (cause.code !== 'EPIPE') reject(holdError('HOLD_COMMAND_FAILED', `${tool}: ${cause}`));
    });
    child.stdin?.end(input);
  });
}

function commandError(
  tool: NetTool,
  args: readonly string[],
  input: string,
  failure: ExecFileException,
  stderr: string,
): Error {
  const what = `${tool} ${args.join(' ')}`;
  if (failure.killed === true && failure.signal === 'SIGKILL') {
    return holdError('HOLD_COMMAND_TIMEOUT', `${what}: no answer in ${COMMAND_TIMEOUT_MS} ms`);
  }
  const refusal = stderr.trim().replaceAll('\n', '; ') || failure.message;
  const line = /Command failed -:(\d+)/.exec(stderr)?.[1];
  const culprit = line === undefined ? what : `${tool} ${input.split('\n')[Number(line) - 1]}`;
  return holdError('HOLD_COMMAND_FAILED', `${culprit}: ${refusal}`, { cause: failure });
}
