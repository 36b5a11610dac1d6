import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TermStore } from '../../../src/failover/term-store.js';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'understudy-terms-'));
});
afterEach(() => rm(directory, { recursive: true }));

describe('the term store', () => {
  it('knows nothing at first', async () => {
    expect(await new TermStore(directory).read('vm')).toEqual({
      domain: 'vm',
      term: 0,
      ours: false,
      startable: true,
    });
  });

  it('remembers across processes and refuses to go back', async () => {
    await new TermStore(directory).write({ domain: 'vm', term: 4, ours: true });
    const again = new TermStore(directory);
    expect(await again.read('vm')).toEqual({
      domain: 'vm',
      term: 4,
      ours: true,
      startable: true,
    });
    await expect(again.write({ domain: 'vm', term: 3, ours: true })).rejects.toMatchObject({
      code: 'TERM_GOES_BACK',
    });
    expect((await again.read('vm')).term).toBe(4);
  });

  it('leaves no temporary file behind and keeps strange names apart', async () => {
    const store = new TermStore(directory);
    await store.write({ domain: '..', term: 1, ours: false });
    await store.write({ domain: 'a b', term: 2, ours: false });
    expect((await readdir(directory)).sort()).toEqual(['term-...json', 'term-a%20b.json']);
    expect((await store.read('..')).term).toBe(1);
  });

  it('refuses a file that is not ours rather than starting anew', async () => {
    await writeFile(join(directory, 'term-vm.json'), '{"term":');
    await expect(new TermStore(directory).read('vm')).rejects.toMatchObject({
      code: 'TERM_UNREADABLE',
    });
  });
});
