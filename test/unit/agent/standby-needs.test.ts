/** What a host must have for a standby, with this machine as the host. */
import { describe, expect, it } from 'vitest';
import { memoryShortage, unmetNeeds } from '../../../src/agent/backup/standby-needs.js';
import type { Host } from '../../../src/agent/host.js';
import type { StandbyNeeds } from '../../../src/wire/messages.js';

const versions = async () => ({ qemu: '7.2.22', libvirt: '9.0.0' });
const withHypervisor = (use: (hypervisor: object) => unknown) => use({ versions });
const host = { withHypervisor } as unknown as Host;

const met: StandbyNeeds = { memoryBytes: 4_096, qemuVersion: '7.2.22', files: ['/'], bridges: [] };
const codes = async (needs: Partial<StandbyNeeds>): Promise<string[]> =>
  (await unmetNeeds(host, { ...met, ...needs })).map(({ code }) => code);

describe('the needs of a standby', () => {
  it('are met, or every one that is not is named', async () => {
    expect(await codes({})).toEqual([]);
    const all = { memoryBytes: 2 ** 50, qemuVersion: '8.0.0', files: ['/', '/no/1', '/no/2'] };
    expect(await codes({ ...all, bridges: ['no-such-bridge'] })).toEqual([
      'AGENT_NO_MEMORY',
      'AGENT_BACKUP_DIFFERS',
      'AGENT_BACKUP_LACKS',
      'AGENT_BACKUP_LACKS',
      'AGENT_BACKUP_LACKS',
    ]);
    const [unmet] = await unmetNeeds(host, { ...met, bridges: ['no-such-bridge'] });
    expect(unmet?.message).toBe('there is no bridge no-such-bridge');
  });

  it('count the memory that QEMU takes besides the guest’s', async () => {
    expect(await memoryShortage(2 ** 50)).toMatch(
      /^the standby needs 1073741952 MiB; \d+ MiB are available$/,
    );
  });
});
