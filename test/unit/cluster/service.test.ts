/** What is run on a host to keep its agent: sh understands it, wherever understudy is installed. */
import { spawnSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import { hookScript, startScript } from '../../../src/cluster/service.js';

const packageDir = "/opt/it's here";

describe.each([true, false])('with systemd: %s', (systemd) => {
  const scripts = [startScript({ systemd, packageDir }), hookScript({ systemd, packageDir })];

  it.each(scripts)('sh reads %s', (script) => {
    const { status, stderr } = spawnSync('sh', ['-n', '-s'], { input: script, encoding: 'utf8' });
    expect(stderr).toBe('');
    expect(status).toBe(0);
  });

  it('names what the package has', () => {
    const shipped = systemd ? 'systemd/understudyd.service' : 'init.d/understudyd';
    expect(scripts[0]).toContain(`'/opt/it'\\''s here/deploy/${shipped}'`);
    expect(scripts[1]).toContain('/deploy/libvirt/hooks/qemu.d/understudy');
  });
});
