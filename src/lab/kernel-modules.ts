/** Finds modules of the laboratory's kernel, which is unpacked in the cache and never installed. */
import { readdir, readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import { runCommand } from './command.js';
import { labError } from './errors.js';
import { cacheDirectory } from './layout.js';

/** What packers and the kernel disagree about: "sch-plug" in a file's name is "sch_plug" elsewhere. */
const normalised = (name: string) => name.replaceAll('-', '_');

export class KernelModules {
  private constructor(
    /** As `uname -r` prints it in the machine that boots this kernel. */
    readonly release: string,
    /** Name of the module to its file, maybe compressed. */
    private readonly files: ReadonlyMap<string, string>,
    private readonly builtIn: ReadonlySet<string>,
  ) {}

  /** The kernel must have been fetched (guestImage does it). @throws LAB_COMMAND_FAILED */
  static async open(): Promise<KernelModules> {
    const { tree, release } = await modulesTree();
    const found = await readdir(`${tree}/kernel`, { recursive: true });
    const files = new Map<string, string>();
    for (const path of found) {
      const name = /^(.*)\.ko(?:\.xz|\.zst)?$/.exec(basename(path))?.[1];
      if (name !== undefined) files.set(normalised(name), `${tree}/kernel/${path}`);
    }
    const builtIn = await readFile(`${tree}/modules.builtin`, 'utf8');
    const names = builtIn.split('\n').map((path) => normalised(basename(path, '.ko')));
    return new KernelModules(release, files, new Set(names));
  }

  /**
   * The files of the named modules and all they depend on, in the order in which insmod takes
   * them. What is built in is left out. @throws LAB_OPTION_INVALID for a module that the kernel lacks
   */
  async loadOrder(names: readonly string[]): Promise<string[]> {
    const order: string[] = [];
    const visit = async (name: string): Promise<void> => {
      if (this.builtIn.has(name)) return;
      const file = this.files.get(name);
      if (file === undefined) {
        throw labError('LAB_OPTION_INVALID', `kernel ${this.release} has no module ${name}`);
      }
      if (order.includes(file)) return;
      for (const needed of await dependenciesOf(file)) await visit(needed);
      order.push(file);
    };
    for (const name of names) await visit(normalised(name));
    return order;
  }
}

/** The module as insmod takes it: `file` itself, or decompressed into `directory`. @throws LAB_COMMAND_FAILED */
export async function decompressedModule(file: string, directory: string): Promise<string> {
  if (file.endsWith('.ko')) return file;
  const target = `${directory}/${basename(file).replace(/\.(?:xz|zst)$/, '')}`;
  // zstd reads xz as well.
  await runCommand('zstd', ['-qd', file, '-o', target]);
  return target;
}

async function dependenciesOf(file: string): Promise<string[]> {
  // The package's own list of dependencies is made when it is installed, which it is not.
  const { stdout } = await runCommand('modinfo', ['-F', 'depends', file]);
  return stdout.trim().split(',').filter(Boolean).map(normalised);
}

async function modulesTree(): Promise<{ tree: string; release: string }> {
  // Debian has lib/modules, Ubuntu usr/lib/modules.
  for (const directory of ['lib/modules', 'usr/lib/modules']) {
    const tree = `${cacheDirectory()}/kernel/current/${directory}`;
    const [release] = await readdir(tree).catch(() => []);
    if (release !== undefined) return { tree: `${tree}/${release}`, release };
  }
  throw labError(
    'LAB_OPTION_INVALID',
    `no kernel modules under ${cacheDirectory()}/kernel/current`,
  );
}
