/**
 * /etc/understudy/hosts.yaml: the hosts of the cluster, this one among them. The first address of a host is the
 * replication link, all of them are heartbeat paths. Pure.
 */
import { stringify } from 'yaml';
import { z } from 'zod';
import { hostNameSchema } from './config-file.js';
import { HOST_ADDRESSES_MAX, HOSTS_MAX } from './limits.js';
import { parseYaml } from './yaml-file.js';

export const hostAddressSchema = z
  .string()
  .regex(/^[0-9A-Za-z]([0-9A-Za-z.:-]{0,252})$/, 'an address or a DNS name, without a port');

const hostSchema = z.strictObject({
  name: hostNameSchema,
  addresses: z.array(hostAddressSchema).min(1).max(HOST_ADDRESSES_MAX),
  port: z.number().int().min(1).max(65_535).default(7788),
});

const hostsSchema = z
  .strictObject({ hosts: z.array(hostSchema).max(HOSTS_MAX).default([]) })
  .superRefine(({ hosts }, context) => {
    const seen = new Set<string>();
    for (const [at, { name, addresses }] of hosts.entries()) {
      for (const [key, word] of [['name', name], ...addresses.map((one) => ['addresses', one])]) {
        const known = `${key} ${word}`;
        if (seen.has(known)) {
          const message = `${word} is another host’s already, or named twice`;
          context.addIssue({ code: 'custom', path: ['hosts', at, key ?? ''], message });
        }
        seen.add(known);
      }
    }
  });

export type ClusterHost = z.output<typeof hostSchema>;

/** @throws CONFIG_NOT_YAML, CONFIG_UNKNOWN_KEY, CONFIG_WRONG_VALUE */
export function parseHosts(file: string, text: string): ClusterHost[] {
  return parseYaml(file, text, hostsSchema).hosts;
}

export function renderHosts(hosts: readonly ClusterHost[]): string {
  const head =
    '# The hosts of this cluster; the same on all of them. `understudy host` writes it.\n';
  return head + stringify({ hosts });
}

/** By name or by one of its addresses. */
export function findHost(hosts: readonly ClusterHost[], called: string): ClusterHost | undefined {
  const wanted = called.toLowerCase();
  return hosts.find(
    ({ name, addresses }) =>
      name === wanted || addresses.some((one) => one.toLowerCase() === wanted),
  );
}
