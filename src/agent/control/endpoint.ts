/** Where an agent answers, as people write it. Pure. */
import { AGENT_PORT_DEFAULT } from '../limits.js';

/** "host", "host:port", "[v6]:port"; the default port is the agent's. */
export function parseEndpoint(text: string): { host: string; port: number } | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text.trim());
  const host = match?.[1] ?? match?.[2];
  const port = match?.[3] === undefined ? AGENT_PORT_DEFAULT : Number(match[3]);
  if (host === undefined || port < 1 || port > 65_535) return undefined;
  return { host, port };
}
