/** A host of the laboratory for the chaos script: what an operator’s hands would do to a real one. */
import type { ProtectBody } from '../agent/control/client.js';
import { RUN_DIR_DEFAULT, STATE_DIR_DEFAULT } from '../agent/limits.js';
import type { DomainStatus } from '../agent/status.js';
import { UnderstudyError } from '../errors.js';
import type { HostPair } from '../lab/host-pair.js';
import type { HostName } from '../lab/layout.js';
import { restartLibvirtd } from '../lab/libvirtd.js';
import { LINKS } from '../lab/network.js';
import type { ChaosHost } from './chaos-host.js';
import type { ChaosLink, Way } from './faults.js';
import { runChecked } from './host-commands.js';
import { CHECKPOINT_MS_MAX, COMMAND_MS_MAX, STATUS_MS_MAX } from './limits.js';
import { applyScript, HEAL_SCRIPT, interfaceRules } from './link-rules.js';
import type { Outcome } from './program.js';
import { within } from './within.js';

/** `nsenter` passes on whatever a script ends with. */
const ANY_EXIT_CODE = Array.from({ length: 256 }, (_, code) => code);

export class LabHost implements ChaosHost {
  readonly directories = { run: RUN_DIR_DEFAULT, state: STATE_DIR_DEFAULT };

  constructor(
    readonly name: HostName,
    private readonly pair: HostPair,
    /** File systems of its own with a bound, which alone may be filled. */
    private readonly boundedDirectories: readonly string[],
  ) {}

  run(script: string, timeoutMs = COMMAND_MS_MAX): Promise<Outcome> {
    const options = { exitCodes: ANY_EXIT_CODE, timeoutMs };
    // The outer shell tells of an inner one that a signal ended, as sshd does.
    const args = ['-c', 'sh -c "$1"; exit $?', 'sh', script];
    return this.pair.lab.host(this.name).exec('sh', args, options);
  }

  async status(domain: string): Promise<DomainStatus | undefined> {
    try {
      const { client } = this.pair.agent(this.name);
      return await within(STATUS_MS_MAX, client.status(domain), `status of host ${this.name}`);
    } catch (error) {
      // No answer is one: the agent is down, stands still, or knows nothing of the domain.
      if (error instanceof UnderstudyError) return undefined;
      throw error;
    }
  }

  async checkpoint(domain: string): Promise<number> {
    const { client } = this.pair.agent(this.name);
    const asked = client.checkpoint(domain, true);
    return (await within(CHECKPOINT_MS_MAX, asked, `checkpoint of host ${this.name}`)).epoch ?? 0;
  }

  async protect(
    domain: string,
    _backup: ChaosHost,
    options: Pick<ProtectBody, 'faults'>,
  ): Promise<void> {
    await this.pair.protect(domain, { from: this.name, recovery: 'automatic', ...options });
  }

  crash(): Promise<void> {
    return this.pair.crashHost(this.name);
  }

  async boot(): Promise<void> {
    await this.pair.bootHost(this.name);
  }

  async ensureLibvirtd(): Promise<void> {
    const { exitCode } = await this.run('kill -0 "$(cat /run/libvirt/libvirtd.pid)"');
    if (exitCode !== 0) await restartLibvirtd(this.pair.lab.host(this.name));
  }

  async cut(links: readonly ChaosLink[], way: Way): Promise<void> {
    if (way === 'both') {
      await Promise.all(links.map((link) => this.pair.lab.setLink(this.name, link, false)));
      return;
    }
    await runChecked(this, applyScript(interfaceRules(links, way)));
  }

  async healLinks(): Promise<void> {
    await runChecked(this, HEAL_SCRIPT);
    for (const link of LINKS) await this.pair.lab.setLink(this.name, link, true);
  }

  async mayFill(directory: string): Promise<boolean> {
    return this.boundedDirectories.some(
      (bounded) => directory === bounded || directory.startsWith(`${bounded}/`),
    );
  }

  async mendByItself(): Promise<void> {
    // A laboratory whose owner died is torn down as a whole.
  }

  async close(): Promise<void> {
    // The laboratory is its stage’s.
  }
}
