/** The package as an administrator gets it: one tarball, no compiler, no registry, no development tools. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { runCommand } from '../../src/lab/command.js';

const SCRIPT = fileURLToPath(new URL('../../script/package', import.meta.url));
const MANIFEST = fileURLToPath(new URL('../../package.json', import.meta.url));
/** Compiling, packing and unpacking some thousand files: 60 s of both cores, on a busy machine three times as long. */
const SLOW_MS = 280_000;

const manifest = z.object({
  version: z.string(),
  dependencies: z.record(z.string(), z.string()),
  devDependencies: z.record(z.string(), z.string()),
});

let directory: string;
let tarball: string;

beforeAll(async () => {
  directory = await mkdtemp(`${tmpdir()}/understudy-package-`);
  const made = await runCommand(SCRIPT, ['--no-setup', directory], { timeoutMs: SLOW_MS });
  tarball = made.stdout.trim().split('\n').at(-1) ?? '';
}, SLOW_MS + 20_000);

afterAll(() => rm(directory, { recursive: true, force: true }));

it('holds what a host needs and nothing else', async () => {
  const { dependencies, devDependencies } = manifest.parse(
    JSON.parse(await readFile(MANIFEST, 'utf8')),
  );
  const names = (await runCommand('tar', ['-tzf', tarball])).stdout.trim().split('\n');
  const own = names.filter((name) => !name.startsWith('package/node_modules/'));
  const tops = new Set(own.map((name) => name.split('/')[1]));
  expect([...tops].sort()).toEqual(
    [
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'bin',
      'deploy',
      'dist',
      'docs',
      'native',
      'package.json',
    ].sort(),
  );
  expect(own.filter((name) => name.startsWith('package/native/')).sort()).toEqual([
    'package/native/build/Release/understudy-guard',
    'package/native/build/Release/understudy.node',
  ]);
  const notRun = own.filter((name) => name.startsWith('package/dist/') && !name.endsWith('.js'));
  expect(notRun).toEqual([]);
  const bundled = (name: string): boolean =>
    names.includes(`package/node_modules/${name}/package.json`);
  expect(Object.keys(dependencies).filter((name) => !bundled(name))).toEqual([]);
  expect(Object.keys(devDependencies).filter(bundled)).toEqual([]);
});

it(
  'runs from an empty prefix, installed without a registry',
  async () => {
    const prefix = `${directory}/prefix`;
    const install = ['install', '-g', '--offline', '--ignore-scripts', '--prefix', prefix, tarball];
    const env = { PATH: process.env.PATH, HOME: directory, npm_config_cache: `${directory}/cache` };
    await runCommand('npm', install, { timeoutMs: SLOW_MS, env });
    const { version } = manifest.parse(JSON.parse(await readFile(MANIFEST, 'utf8')));
    for (const program of ['understudy', 'understudyd']) {
      const { stdout } = await runCommand(`${prefix}/bin/${program}`, ['--version'], { env });
      expect(stdout.trim()).toBe(version);
    }
  },
  SLOW_MS + 20_000,
);
