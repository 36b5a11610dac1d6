/** Where a host's agent is asked; apart from what answers there, which is large. */
export function controlSocket(runDir: string): string {
  return `${runDir}/agent.sock`;
}
