/** This build's version, from package.json, and that of its control API. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';

export const VERSION: string = z
  .object({ version: z.string() })
  .parse(JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))).version;

/** Of the control API: grows when something that was there goes or changes its meaning. */
export const API_VERSION = 1;

/** What an agent says of itself. */
export interface AgentVersion {
  version: string;
  api: number;
  pid: number;
}
