/** Runs the contract of the output hold in the laboratory's kernel: one machine, one report per case. */
import { copyFile, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { runInKernelVm, VM_PRODUCT } from '../../src/lab/kernel-vm.js';
import { buildWire } from './netbuffer-peer.js';

export interface CaseReport {
  backend: string;
  name: string;
  ms: number;
  /** What the case found; absent when it passed. */
  error?: string;
}

export interface VmReport {
  reports: CaseReport[];
  /** Everything that was said, for a case that did not report. */
  output: string;
}

const here = fileURLToPath(new URL('.', import.meta.url));
const vmPlace = `${VM_PRODUCT}/test/integration`;

const MODULES = [
  ...['tun', 'veth', 'bridge', 'ifb'],
  ...['sch_ingress', 'sch_plug', 'cls_u32', 'cls_matchall', 'act_mirred'],
];

/** `directory` is the caller's, for what is compiled. @throws LAB_KERNEL_VM_FAILED */
export async function runContractInVm(directory: string, timeoutMs: number): Promise<VmReport> {
  const { output } = await runInKernelVm({
    script: `${here}in-kernel-vm/hold-contract.mjs`,
    modules: MODULES,
    files: await contractFiles(directory),
    timeoutMs,
  });
  const reports = output
    .split('\n')
    .filter((line) => line.startsWith('{"backend":'))
    .map((line) => JSON.parse(line) as CaseReport);
  return { reports, output };
}

/** The cases as JavaScript beside the built product, and the program that they send frames with. */
async function contractFiles(directory: string): Promise<Map<string, string>> {
  await mkdir(directory, { recursive: true });
  const files = new Map<string, string>();
  const add = (name: string) => files.set(`${vmPlace}/${name}`, `${directory}/${name}`);
  for (const name of await readdir(here)) {
    if (!/^netbuffer-(?!vm\.).*\.m?[jt]s$/.test(name) || name.endsWith('.test.ts')) continue;
    const source = await readFile(`${here}${name}`, 'utf8');
    const compiled = name.replace(/\.ts$/, '.js');
    await writeFile(
      `${directory}/${compiled}`,
      name.endsWith('.ts') ? asJavaScript(source) : source,
    );
    add(compiled);
  }
  await copyFile(buildWire(), `${directory}/netbuffer-wire`);
  add('netbuffer-wire');
  return files;
}

function asJavaScript(source: string): string {
  const { ESNext } = ts.ModuleKind;
  const compilerOptions = { module: ESNext, target: ts.ScriptTarget.ES2023 };
  const { outputText } = ts.transpileModule(source, { compilerOptions });
  return outputText.replaceAll("'../../src/", "'../../dist/");
}
