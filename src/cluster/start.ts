/** Does on this host what `add` does on others over ssh: installs the hook, starts the agent. May be repeated. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import type { Config } from '../config/config-file.js';
import type { ClusterHost } from '../config/hosts-file.js';
import type { AddStep } from './add.js';
import { clusterError } from './errors.js';
import { hostsOf, ownName } from './files.js';
import { SSH_COMMAND_TIMEOUT_MS } from './limits.js';
import { hookScript, startScript } from './service.js';
import { waitForAgent } from './wait-for-agent.js';

const PACKAGE_DIRECTORY = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');

/** Resolves when the agent answers. @throws HOST_UNKNOWN, HOST_COMMAND_FAILED, HOST_AGENT_SILENT, CONFIG_… */
export async function startAgent(
  config: Config,
  onStep: (step: AddStep, detail: string) => void,
): Promise<ClusterHost> {
  const name = ownName(config);
  const host = (await hostsOf(config)).find((one) => one.name === name);
  if (host === undefined) throw clusterError('HOST_UNKNOWN', `${config.hosts} has no host ${name}`);
  const facts = { packageDir: PACKAGE_DIRECTORY, systemd: existsSync('/run/systemd/system') };
  onStep('guarded', await script('installing the hook', hookScript(facts)));
  onStep('started', await script('starting the agent', startScript(facts)));
  await waitForAgent(config, host);
  onStep('answers', `${host.addresses[0]}:${host.port}`);
  return host;
}

/** What it prints. @throws HOST_COMMAND_FAILED unless it ends with 0 */
async function script(what: string, lines: string): Promise<string> {
  const shell = spawn('sh', ['-s'], { stdio: 'pipe', timeout: SSH_COMMAND_TIMEOUT_MS });
  const ended = once(shell, 'close');
  shell.stdin.end(lines);
  const [stdout, stderr] = await Promise.all([text(shell.stdout), text(shell.stderr)]);
  const [exitCode] = await ended;
  if (exitCode === 0) return stdout;
  const said = (stderr || stdout).trim() || `exit code ${exitCode}`;
  throw clusterError('HOST_COMMAND_FAILED', `${what}: ${said}`);
}
