/** What a host must have before it becomes one of the cluster: a script to find out, and what its answer means. Pure. */
import { CLOCK_DIFFERENCE_MS_MAX, NODE_VERSION_MIN } from './limits.js';

/** Prints NAME=VALUE lines; a value is empty when there is no such thing. */
export const PROBE_SCRIPT = `
PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
say() { printf '%s=%s\\n' "$1" "$2"; }
say time "$(date +%s%3N)"
say uid "$(id -u)"
say system "$(uname -sm)"
say hostname "$(hostname -s 2>/dev/null || hostname)"
say node "$(node -p process.versions.node 2>/dev/null)"
say libvirt "$(libvirtd --version 2>/dev/null || virtqemud --version 2>/dev/null)"
say qemu "$(qemu-system-x86_64 --version 2>/dev/null | head -n 1)"
program=$(command -v understudy 2>/dev/null)
say understudy "$(understudy --version 2>/dev/null)"
say package "$([ -z "$program" ] || dirname "$(dirname "$(readlink -f "$program")")")"
say systemd "$([ ! -d /run/systemd/system ] || echo yes)"
`;

export interface HostFacts {
  /** Of its clock, ms since 1970. */
  timeMs: number;
  hostname: string;
  understudy: string;
  /** Where understudy is installed. */
  packageDir: string;
  systemd: boolean;
}

export interface Probe {
  facts: HostFacts;
  /** Everything that is missing, in sentences with what to do. */
  lacks: string[];
}

/** `hereMs` is this host's clock in the middle of asking. */
export function judgeProbe(output: string, hereMs: number): Probe {
  const said = new Map(
    output.split('\n').map((line) => {
      const at = line.indexOf('=');
      return [line.slice(0, at), line.slice(at + 1).trim()] as const;
    }),
  );
  const value = (name: string): string => said.get(name) ?? '';
  const apartMs = Math.abs(Number(value('time')) - hereMs);
  const checks: [boolean, string][] = [
    [value('uid') === '0', 'the user is not root: log in as root'],
    [value('system') === 'Linux x86_64', `it is ${value('system')}: Linux on x86_64 is needed`],
    [isNewEnough(value('node')), nodeLack(value('node'))],
    [value('libvirt') !== '', 'no libvirt: install libvirt-daemon-system'],
    [value('qemu') !== '', 'no QEMU: install qemu-system-x86'],
    [value('understudy') !== '', 'no understudy in PATH: install the package there first'],
    [
      apartMs <= CLOCK_DIFFERENCE_MS_MAX,
      `its clock differs by ${Math.round(apartMs / 1000)} s: let both hosts run NTP`,
    ],
  ];
  return {
    facts: {
      timeMs: Number(value('time')),
      hostname: value('hostname').toLowerCase(),
      understudy: value('understudy'),
      packageDir: value('package'),
      systemd: value('systemd') === 'yes',
    },
    lacks: checks.filter(([fine]) => !fine).map(([, lack]) => lack),
  };
}

function nodeLack(version: string): string {
  const wanted = NODE_VERSION_MIN.join('.');
  const found = version === '' ? 'no Node' : `Node ${version}`;
  return `${found}: Node ${wanted} or newer is needed`;
}

function isNewEnough(version: string): boolean {
  const parts = version.split('.').map(Number);
  for (const [at, wanted] of NODE_VERSION_MIN.entries()) {
    const part = parts[at] ?? 0;
    if (part !== wanted) return part > wanted;
  }
  return true;
}
