/** Reads the files under /etc/understudy; what they say is checked by the parsers beside. */
import { readFile, stat } from 'node:fs/promises';
import { messageOf } from '../errors.js';
import { type Config, parseConfig } from './config-file.js';
import { configError } from './errors.js';
import { type ClusterHost, parseHosts } from './hosts-file.js';
import { CONFIG_FILE_BYTES_MAX } from './limits.js';
import { CONFIG_FILE_DEFAULT } from './paths.js';

/**
 * Without `file`, the default one if it is there, else the defaults. @throws CONFIG_…
 */
export async function readConfig(file?: string): Promise<Config> {
  const path = file ?? CONFIG_FILE_DEFAULT;
  const text = await readSmall(path);
  if (text === undefined && file !== undefined) {
    throw configError('CONFIG_MISSING', `there is no ${path}`);
  }
  return parseConfig(path, text ?? '');
}

/** Undefined when there is no such file. @throws CONFIG_… */
export async function readHosts(file: string): Promise<ClusterHost[] | undefined> {
  const text = await readSmall(file);
  return text === undefined ? undefined : parseHosts(file, text);
}

/**
 * hosts.yaml as it is now: read again when it changed, so that no agent needs a restart to know a new host, and a
 * removed one is not let in any more.
 */
export class HostsFile {
  #version = '';
  #hosts: ClusterHost[] | undefined;

  constructor(readonly path: string) {}

  /** Undefined when there is none. @throws CONFIG_… */
  async read(): Promise<readonly ClusterHost[] | undefined> {
    const version = await versionOf(this.path);
    if (version !== this.#version) {
      this.#hosts = await readHosts(this.path);
      this.#version = version;
    }
    return this.#hosts;
  }
}

/** Changes whenever the file is written or replaced; empty when there is none. */
async function versionOf(path: string): Promise<string> {
  try {
    const { mtimeNs, ino, size } = await stat(path, { bigint: true });
    return `${mtimeNs} ${ino} ${size}`;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw unreadable(path, error);
  }
}

async function readSmall(path: string): Promise<string | undefined> {
  try {
    if ((await stat(path)).size > CONFIG_FILE_BYTES_MAX) throw new Error('it is too large');
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw unreadable(path, error);
  }
}

function unreadable(path: string, cause: unknown): Error {
  return configError('CONFIG_UNREADABLE', `${path}: ${messageOf(cause)}`, { cause });
}
