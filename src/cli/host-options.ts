/** What the commands of `understudy host` have in common. */
import type { Argv } from 'yargs';
import { clusterError } from '../cluster/errors.js';
import type { Config } from '../config/config-file.js';
import type { GlobalOptions } from './command.js';

export interface HostOptions extends GlobalOptions {
  config: string | undefined;
}

/** The configuration of this host; its files are root's. @throws HOST_NEEDS_ROOT, CONFIG_… */
export async function hostConfig({ config }: { config: string | undefined }): Promise<Config> {
  if (process.getuid?.() !== 0) throw clusterError('HOST_NEEDS_ROOT', 'this is not root');
  // Loaded late: most commands do without configuration.
  const { readConfig } = await import('../config/read-config.js');
  return readConfig(config);
}

export function withConfigOption<O extends GlobalOptions>(
  yargs: Argv<O>,
): Argv<O & { config: string | undefined }> {
  return yargs.option('config', {
    type: 'string',
    describe: 'configuration file of this host (default: /etc/understudy/config.yaml)',
  });
}
