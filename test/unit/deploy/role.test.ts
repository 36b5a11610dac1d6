/** The Ansible role says each variable twice, for people who read one or the other: they must agree. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';

const DEPLOY = fileURLToPath(new URL('../../../deploy/ansible/', import.meta.url));
const ROLE = `${DEPLOY}roles/understudy/`;

interface Specification {
  type: string;
  default?: unknown;
  description: string | string[];
}

const yaml = <T>(path: string): T => parse(readFileSync(path, 'utf8')) as T;
const defaults = yaml<Record<string, unknown>>(`${ROLE}defaults/main.yml`);
const { main } = yaml<{ argument_specs: { main: { options: Record<string, Specification> } } }>(
  `${ROLE}meta/argument_specs.yml`,
).argument_specs;

describe('the variables of the role', () => {
  it('are the same in defaults and argument_specs, with the same values', () => {
    const specified = Object.fromEntries(
      Object.entries(main.options).map(([name, { default: value }]) => [name, value]),
    );
    expect(specified).toEqual(defaults);
  });

  it.each(
    Object.entries(main.options),
  )('%s is explained and has a value of its type', (_, spec) => {
    expect([spec.description].flat().join('').length).toBeGreaterThan(10);
    expect(TYPES[spec.type]?.(spec.default)).toBe(true);
  });

  it('that tasks and templates use are set somewhere', () => {
    const known = new Set([
      ...Object.keys(defaults),
      ...Object.keys(yaml(`${ROLE}vars/main.yml`) as object),
    ]);
    const unknown = [...filesBelow(`${ROLE}tasks`), ...filesBelow(`${ROLE}templates`)].flatMap(
      (path) => {
        const text = readFileSync(path, 'utf8');
        const made = new Set(
          [...text.matchAll(/^\s*(?:register: |loop_var: )?(understudy_\w+)(?=:|$)/gm)].map(
            ([, name]) => name,
          ),
        );
        return [...text.matchAll(/\bunderstudy_\w+/g)]
          .map(([name]) => name)
          .filter((name) => !known.has(name) && !made.has(name) && !MADE_ELSEWHERE.has(name))
          .map((name) => `${path.slice(ROLE.length)}: ${name}`);
      },
    );
    expect(unknown).toEqual([]);
  });

  it('are all in the README', () => {
    const text = readFileSync(`${DEPLOY}README.md`, 'utf8');
    expect(Object.keys(defaults).filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });
});

const TYPES: Record<string, (value: unknown) => boolean> = {
  str: (value) => typeof value === 'string',
  path: (value) => typeof value === 'string',
  int: (value) => Number.isInteger(value),
  bool: (value) => typeof value === 'boolean',
  list: Array.isArray,
  dict: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
};

/** Registered by a task of another file of the role. */
const MADE_ELSEWHERE = new Set([
  'understudy_package_file',
  'understudy_versions',
  'understudy_moved',
  'understudy_domain',
]);

function filesBelow(directory: string): string[] {
  return readdirSync(directory).map((name) => `${directory}/${name}`);
}
