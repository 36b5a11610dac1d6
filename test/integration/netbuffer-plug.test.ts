/**
 * Both backends keep the contract of the output hold in a distribution's own kernel, which has the plug
 * qdisc: one virtual machine for all cases, each case a test here.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { casesOf } from './netbuffer-contract.js';
import { runContractInVm, type VmReport } from './netbuffer-vm.js';

/** Emulated: seven minutes, on a busy machine twice as long. */
const VM_TIMEOUT_MS = 1_200_000;

let directory: string;
let vm: VmReport;

beforeAll(async () => {
  directory = await mkdtemp(`${tmpdir()}/understudy-hold-contract-`);
  vm = await runContractInVm(directory, VM_TIMEOUT_MS);
}, VM_TIMEOUT_MS + 60_000);

afterAll(() => rm(directory, { recursive: true }));

describe.each([
  { name: 'plug', canLease: false },
  { name: 'holder', canLease: true },
] as const)('output hold in the laboratory kernel: $name', (backend) => {
  it.each(casesOf(backend))('$name', ({ name }) => {
    const report = vm.reports.find((one) => one.backend === backend.name && one.name === name);
    if (report === undefined) throw new Error(`no report; the machine said:\n${vm.output}`);
    expect(report.error).toBeUndefined();
  });
});
