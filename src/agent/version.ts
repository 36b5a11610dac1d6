/** This build's version, from package.json, and that of its control API. */
import { readFileSync } from 'node:fs';

const packageJson: unknown = JSON.parse(
  readFileSync(new URL('../../package.json', import.meta.url), 'utf8'),
);
export const VERSION = (packageJson as { version: string }).version;

/** Of the control API: grows when something that was there goes or changes its meaning. */
export const API_VERSION = 1;

/** What an agent says of itself. */
export interface AgentVersion {
  version: string;
  api: number;
  pid: number;
}
