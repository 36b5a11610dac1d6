/** The architecture, as rules that a file can break. docs/architecture.md says why they are there. */
import { describe, expect, it } from 'vitest';
import { type SourceFile, sourceFiles } from './source-tree.js';

const FILES = sourceFiles();
const NATIVE = 'src/native.ts';
const LINES_MAX = 500;

/** Decisions: values in, values out. Neither they nor what they import may reach the outside. */
const PURE = [
  'src/config/config-file.ts',
  'src/config/hosts-file.ts',
  'src/config/yaml-file.ts',
  'src/pki/files.ts',
  'src/failover/states.ts',
  'src/failover/table.ts',
  'src/failover/heartbeat.ts',
  'src/failover/arbiter.ts',
  'src/failover/lease.ts',
  'src/failover/recovery.ts',
  'src/epoch/policy.ts',
  'src/epoch/records.ts',
  'src/agent/primary/epoch-report.ts',
  'src/agent/events/events.ts',
  'src/cli/moments.ts',
  'src/epoch/faults.ts',
  'src/epoch/limits.ts',
  'src/hypervisor/check-codes.ts',
  'src/hypervisor/device-state.ts',
  'src/hypervisor/domain-xml.ts',
  'src/hypervisor/preflight.ts',
  'src/hypervisor/ram-text.ts',
  'src/hypervisor/standby-xml.ts',
  'src/chaos/answers.ts',
  'src/chaos/faults.ts',
  'src/chaos/html.ts',
  'src/chaos/inventory.ts',
  'src/chaos/link-rules.ts',
  'src/chaos/protection.ts',
  'src/chaos/report.ts',
  'src/chaos/schedule.ts',
  'src/chaos/schedule-file.ts',
  'src/chaos/verdict.ts',
  'src/chaos/voices.ts',
  'src/lab/demo/conversation.ts',
  'src/lab/demo/figures.ts',
  'src/lab/demo/scenario-names.ts',
  'src/lab/demo/states-seen.ts',
  'src/lab/beacon-log.ts',
  'src/docs/markdown.ts',
  'src/docs/declarations.ts',
  'src/docs/json-answers.ts',
  'src/docs/render-cli.ts',
  'src/docs/render-errors.ts',
  'src/docs/render-states.ts',
];

/** Packages that compute and do nothing else. */
const PURE_PACKAGES = new Set(['@xmldom/xmldom', 'yaml', 'zod']);

describe('the source tree', () => {
  it('is read whole', () => {
    expect(FILES.size).toBeGreaterThan(100);
    const dangling = [...FILES.values()].flatMap(({ path, imports }) =>
      imports.filter(({ isOurs, target }) => isOurs && !FILES.has(target)).map(() => path),
    );
    expect(dangling).toEqual([]);
  });

  it('has no import cycles', () => {
    expect(cycles()).toEqual([]);
  });

  it.each(PURE)('keeps %s pure', (path) => {
    expect(reachedFrom(path).flatMap(outsideImports)).toEqual([]);
  });

  it('loads the addon in one place', () => {
    const loaders = [...FILES.values()].filter(({ text }) =>
      /createRequire|process\.dlopen/.test(text),
    );
    expect(loaders.map(({ path }) => path)).toEqual([NATIVE]);
  });

  it('talks to libvirt in src/hypervisor only', () => {
    const users = [...FILES.values()].filter(({ text }) => /\bnative\.libvirt\b/.test(text));
    const elsewhere = users.map(({ path }) => path).filter((path) => !isBelow(path, 'hypervisor'));
    expect(elsewhere).toEqual([]);
  });

  it('changes taps and bridges of a real host in src/netbuffer only', () => {
    const users = [...FILES.values()].filter(({ text }) =>
      /\brunBatch\('(ip|tc|bridge)'/.test(text),
    );
    const elsewhere = users.map(({ path }) => path).filter((path) => !isBelow(path, 'netbuffer'));
    expect(elsewhere).toEqual([]);
  });

  it(`has no file of more than ${LINES_MAX} lines`, () => {
    const long = [...FILES.values()].filter(({ text }) => text.split('\n').length > LINES_MAX);
    expect(long.map(({ path }) => path)).toEqual([]);
  });
});

function isBelow(path: string, folder: string): boolean {
  return path.startsWith(`src/${folder}/`);
}

/** `path` and every file of ours that it needs at run time. */
function reachedFrom(path: string, seen = new Map<string, SourceFile>()): SourceFile[] {
  const file = FILES.get(path);
  if (file === undefined) throw new Error(`${path} is gone: correct the list`);
  if (!seen.has(path)) {
    seen.set(path, file);
    for (const { target, isOurs, typeOnly } of file.imports) {
      if (isOurs && !typeOnly) reachedFrom(target, seen);
    }
  }
  return [...seen.values()];
}

function outsideImports({ path, imports }: SourceFile): string[] {
  if (path === NATIVE) return [path];
  return imports
    .filter(({ isOurs, typeOnly, target }) => !isOurs && !typeOnly && !PURE_PACKAGES.has(target))
    .map(({ target }) => `${path} imports ${target}`);
}

/** Each cycle once, as the path that closes it. Imports of types count: they are coupling too. */
function cycles(): string[] {
  const done = new Set<string>();
  const found: string[] = [];
  const walk = (path: string, trail: readonly string[]): void => {
    if (trail.includes(path)) {
      found.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
      return;
    }
    if (done.has(path)) return;
    for (const { target, isOurs } of FILES.get(path)?.imports ?? []) {
      if (isOurs) walk(target, [...trail, path]);
    }
    done.add(path);
  };
  for (const path of FILES.keys()) walk(path, []);
  return found;
}
