import type { AgentClient } from '../agent/control/client.js';
import { type AgentVersion, API_VERSION, VERSION } from '../agent/version.js';
import { UnderstudyError } from '../errors.js';
import { defineCommand } from './command.js';
import { EXIT } from './exit-codes.js';
import { printJson, printLine, printWarning } from './output.js';

/** `understudy version`: of this program and of the agent that it would ask. */
export const versionCommand = defineCommand({
  command: 'version',
  describe: 'show the versions of this program and of the agent',
  options: (yargs) => yargs.example('$0 version', 'whether program and agent belong together'),
  run: async ({ json }, client) => {
    const agent = await versionOf(client);
    if (json) printJson({ client: { version: VERSION, api: API_VERSION }, agent: agent ?? null });
    else {
      printLine(`client  ${VERSION}, API ${API_VERSION}`);
      printLine(
        agent === undefined
          ? 'agent   does not answer'
          : `agent   ${agent.version}, API ${agent.api}, process ${agent.pid}`,
      );
    }
    if (agent === undefined) return EXIT.noAgent;
    if (agent.version !== VERSION || agent.api !== API_VERSION) {
      printWarning('they differ: restart the agent (sessions go on), or update this program');
    }
    return EXIT.ok;
  },
});

/** Undefined when no agent answers. */
async function versionOf(client: AgentClient): Promise<AgentVersion | undefined> {
  try {
    return await client.version();
  } catch (error) {
    if (error instanceof UnderstudyError && error.code === 'AGENT_UNREACHABLE') return undefined;
    throw error;
  }
}
