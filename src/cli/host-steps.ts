/** How the steps that make a host one of the cluster are shown. */
import type { AddStep } from '../cluster/add.js';
import { pc } from './output.js';

const STEPS: Readonly<Record<AddStep, string>> = {
  checked: 'has what is needed',
  certified: 'has its certificate',
  listed: 'has the list of hosts',
  guarded: 'has the libvirt hook',
  started: 'its agent is started by',
  answers: 'its agent answers at',
};

export function hostStepLine(host: string, step: AddStep, detail: string): string {
  return `${pc.green('✓')} ${host} ${STEPS[step]} ${pc.dim(detail.trim())}`;
}
