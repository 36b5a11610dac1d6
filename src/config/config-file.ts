/** /etc/understudy/config.yaml: what may stand in it, and what holds where nothing does. Pure. */
import { z } from 'zod';
import { HOST_NAME_PATTERN } from './limits.js';
import { HOSTS_FILE_DEFAULT, PKI_DIR_DEFAULT } from './paths.js';
import { parseYaml } from './yaml-file.js';

export const hostNameSchema = z
  .string()
  .regex(HOST_NAME_PATTERN, 'a name of a host: lower-case letters, digits and hyphens');

const path = z.string().regex(/^\/\S*$/, 'an absolute path');

const configSchema = z.strictObject({
  host: hostNameSchema.optional(),
  listen: z.string().min(1).max(300).default('0.0.0.0:7788'),
  libvirt: z.string().min(1).max(300).default('qemu:///system'),
  directories: z
    .strictObject({
      run: path.default('/run/understudy'),
      state: path.default('/var/lib/understudy'),
      replicas: path.default('/var/lib/understudy/replicas'),
    })
    .prefault({}),
  pki: path.default(PKI_DIR_DEFAULT),
  hosts: path.default(HOSTS_FILE_DEFAULT),
  heartbeat: z
    .strictObject({
      /** Milliseconds. */
      interval: z.number().int().min(10).max(10_000).default(50),
      missed: z.number().int().min(2).max(100).default(5),
    })
    .prefault({}),
  replication: z.strictObject({ encrypt: z.boolean().default(true) }).prefault({}),
});

/** With every default filled in; `host` is the system's name when it is not given. */
export type Config = z.output<typeof configSchema>;

/** @throws CONFIG_NOT_YAML, CONFIG_UNKNOWN_KEY, CONFIG_WRONG_VALUE */
export function parseConfig(file: string, text: string): Config {
  return parseYaml(file, text, configSchema);
}
