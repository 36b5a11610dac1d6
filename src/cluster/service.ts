/**
 * What makes a host keep its agent: the service that starts it, now and at each boot, and the hook by which libvirt
 * starts no copy that another host may run. Scripts of sh, for this host and over ssh. Pure.
 */
import { quoted } from '../shell-word.js';

export interface ServiceFacts {
  /** Where understudy is installed. */
  packageDir: string;
  systemd: boolean;
}

const HOOK = '/etc/libvirt/hooks/qemu.d/understudy';
const PATHS = 'PATH=$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/sbin';

/** Prints what starts the agent. An agent that runs goes on: it reads new certificates and lists by itself. */
export function startScript({ systemd, packageDir }: ServiceFacts): string {
  const installed = (path: string, from: string, mode: string): string =>
    `[ -e ${path} ] || install -m ${mode} ${quoted(`${packageDir}/deploy/${from}`)} ${path}`;
  const steps = systemd
    ? [
        installed('/etc/systemd/system/understudyd.service', 'systemd/understudyd.service', '644'),
        'systemctl daemon-reload',
        'systemctl enable --now understudyd.service',
        'echo systemd',
      ]
    : [
        installed('/etc/init.d/understudyd', 'init.d/understudyd', '755'),
        'if command -v update-rc.d >/dev/null; then update-rc.d understudyd defaults >/dev/null; fi',
        '/etc/init.d/understudyd start >/dev/null',
        'echo init script',
      ];
  return ['set -e', PATHS, ...steps].join('\n');
}

/** Prints where the hook is. libvirtd looks for hooks when it starts, so a new one is only heard of after that. */
export function hookScript({ packageDir }: ServiceFacts): string {
  return [
    'set -e',
    PATHS,
    `hook=${HOOK}`,
    'new=; [ -e "$hook" ] || new="; restart libvirtd once: it looks for hooks when it starts"',
    `install -D -m 755 ${quoted(`${packageDir}/deploy/libvirt/hooks/qemu.d/understudy`)} "$hook"`,
    'echo "$hook$new"',
  ].join('\n');
}
