import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, describe, expect, it } from 'vitest';
import { CpioArchive } from '../../../src/lab/cpio.js';
import { readConsole } from '../../../src/lab/kernel-vm.js';

describe('readConsole', () => {
  const begin = 'SeaBIOS\r\nvm-t0 begin\n';
  it.each([
    ['', undefined],
    ['Kernel panic\r\n', undefined],
    ['vm-t0 failed insmod ifb.ko\n', undefined],
    [begin, undefined],
    // The exit code is not whole before its line is.
    [`${begin}hello\nvm-t0 exit 1`, undefined],
    [`${begin}hello\nvm-t0 exit 137\n`, { exitCode: 137, output: 'hello\n' }],
    [`${begin}no end of linevm-t0 exit 0\r\n`, { exitCode: 0, output: 'no end of line' }],
    [`${begin}vm-t1 exit 1\nvm-t0 exit 0\n`, { exitCode: 0, output: 'vm-t1 exit 1\n' }],
  ])('%j', (text, result) => {
    expect(readConsole(text, 't0')).toEqual(result);
  });
});

describe('CpioArchive', () => {
  const directory = mkdtempSync(`${tmpdir()}/understudy-cpio-`);
  afterAll(() => rmSync(directory, { recursive: true }));

  it('is what cpio reads: parents first, content whole, the later of two files', async () => {
    const source = `${directory}/source`;
    const content = Buffer.from(Array.from({ length: 1001 }, (_, index) => index % 256));
    writeFileSync(source, content);
    const archive = new CpioArchive();
    archive.addDirectory('/dev');
    archive.addFile('/a/b/copy', { path: source });
    archive.addFile('/a/b/text', { text: 'replaced' });
    archive.addFile('/a/b/text', { text: 'ünïcode\n' });
    const path = `${directory}/archive`;
    await archive.appendTo(path);
    const input = readFileSync(path);
    const cpio = (...args: string[]) =>
      execFileSync('cpio', ['--quiet', ...args], { input, cwd: directory, encoding: 'utf8' });
    expect(cpio('-t').trim().split('\n')).toEqual(['dev', 'a', 'a/b', 'a/b/copy', 'a/b/text']);
    cpio('-id');
    expect(readFileSync(`${directory}/a/b/copy`)).toEqual(content);
    expect(readFileSync(`${directory}/a/b/text`, 'utf8')).toBe('ünïcode\n');
  });
});
