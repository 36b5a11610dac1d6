/** Which hosts of an inventory may be touched. */
import { describe, expect, it } from 'vitest';
import { hostsListed, hostsOfYaml } from '../../../src/chaos/inventory.js';

const yaml = (a: string, b: string) => `
understudy:
  vars: {ansible_user: ops}
  hosts:
    alpha: {ansible_host: 192.0.2.1, understudy_addresses: [10.0.0.1, 192.0.2.1], understudy_name: a, ${a}}
    beta: {ansible_port: 2222, ansible_ssh_private_key_file: ~/.ssh/lab, ${b}}
`;
const ALLOWED = 'understudy_chaos_allowed: true';

describe('an inventory in YAML', () => {
  it('gives both hosts with their variables, those of the group among them', () => {
    expect(hostsOfYaml(yaml(ALLOWED, ALLOWED))).toEqual([
      {
        name: 'alpha',
        clusterName: 'a',
        ssh: { host: '192.0.2.1', port: 22, user: 'ops' },
        addresses: ['10.0.0.1', '192.0.2.1'],
        command: 'understudy',
        directories: { run: '/run/understudy', state: '/var/lib/understudy' },
      },
      expect.objectContaining({
        clusterName: 'beta',
        ssh: { host: 'beta', port: 2222, user: 'ops', identityFile: '~/.ssh/lab' },
        addresses: ['beta'],
      }),
    ]);
  });

  it('finds a group below another one', () => {
    const nested = `all: {children: {site: {vars: {understudy_chaos_allowed: true}, children: {understudy: {hosts: {x: , y: }}}}}}`;
    expect(hostsOfYaml(nested).map(({ name }) => name)).toEqual(['x', 'y']);
  });

  it.each([
    [yaml(ALLOWED, 'other: 1'), 'beta'],
    [yaml('understudy_chaos_allowed: false', ALLOWED), 'alpha'],
    [yaml('understudy_chaos_allowed: 1', ALLOWED), 'alpha'],
    [yaml('understudy_chaos_allowed: "no"', 'other: 1'), 'alpha, beta'],
  ])('refuses hosts that are not marked %#', (text, named) => {
    expect(() => hostsOfYaml(text)).toThrow(
      expect.objectContaining({
        code: 'CHAOS_HOST_NOT_ALLOWED',
        message: `${named}: understudy_chaos_allowed is not true`,
      }),
    );
  });

  it.each([
    ['[understudy]\nalpha\n', 'no YAML inventory'],
    ['understudy: {hosts: {alpha: }}', 'alpha; a pair is two hosts'],
    ['other: {children: {understudy: {}}}', 'no host'],
    [yaml(ALLOWED, `${ALLOWED}, ansible_host: 7`), 'host beta: ansible_host'],
    [yaml(ALLOWED, `${ALLOWED}, understudy_addresses: 10.0.0.2`), 'understudy_addresses'],
    ['- alpha\n- beta\n', 'no YAML inventory'],
  ])('refuses %j', (text, why) => {
    expect(() => hostsOfYaml(text)).toThrow(
      expect.objectContaining({
        code: 'CHAOS_INVENTORY_INVALID',
        message: expect.stringContaining(why),
      }),
    );
  });
});

describe('an inventory as Ansible lists it', () => {
  const listed = (allowed: unknown) =>
    JSON.stringify({
      _meta: {
        hostvars: {
          alpha: { understudy_chaos_allowed: allowed },
          beta: { understudy_chaos_allowed: true, ansible_host: '192.0.2.2' },
          gamma: {},
        },
      },
      all: { children: ['ungrouped', 'site'] },
      site: { children: ['understudy'], hosts: ['gamma'] },
      understudy: { hosts: ['alpha', 'beta'] },
    });

  it('gives the hosts of the group only', () => {
    expect(hostsListed(listed('true')).map(({ ssh }) => ssh.host)).toEqual(['alpha', '192.0.2.2']);
  });

  it('does not take another group for the pair', () => {
    expect(() => hostsListed(listed(true), 'site')).toThrow('gamma, alpha, beta; a pair is two');
    expect(() => hostsListed(listed(true), 'elsewhere')).toThrow('no host');
  });

  it('refuses what is not marked, and what is no list', () => {
    expect(() => hostsListed(listed(false))).toThrow(
      expect.objectContaining({ code: 'CHAOS_HOST_NOT_ALLOWED' }),
    );
    expect(() => hostsListed('[]')).toThrow(
      expect.objectContaining({ code: 'CHAOS_INVENTORY_INVALID' }),
    );
  });
});
