/**
 * Redis started on this machine from what lies on the image of a guest's disk: what the guest's own
 * Redis would find if it began anew. The image is only read; network is not used.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { deferred } from '../deferred.js';
import { runCommand } from './command.js';
import { type Image, withMountable } from './disk-check.js';
import { labError } from './errors.js';
import { DISK_CHECK_TIMEOUT_MS, LOG_TAIL_BYTES_MAX, REDIS_LOAD_TIMEOUT_MS } from './limits.js';

/** Redis keeps its append-only files there, relative to the root of the disk. */
const AOF_DIRECTORY = 'appendonlydir';

export class RedisOnDisk {
  private constructor(
    private readonly child: ChildProcess,
    private readonly directory: string,
  ) {}

  /** Answers at `socket` when this resolves. @throws LAB_DISK_UNREADABLE, LAB_COMMAND_FAILED */
  static async start(image: Image): Promise<RedisOnDisk> {
    const directory = await mkdtemp(`${tmpdir()}/understudy-redis-`);
    let child: ChildProcess | undefined;
    try {
      await withMountable(image, (raw) => copyFiles(raw, directory));
      child = startServer(directory);
      await loaded(child);
      return new RedisOnDisk(child, directory);
    } catch (error) {
      child?.kill('SIGKILL');
      await rm(directory, { recursive: true, force: true });
      throw error;
    }
  }

  get socket(): string {
    return socketIn(this.directory);
  }

  async close(): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) {
      const ended = once(this.child, 'exit');
      this.child.kill('SIGKILL');
      await ended;
    }
    await rm(this.directory, { recursive: true, force: true });
  }
}

const socketIn = (directory: string) => `${directory}/redis.sock`;

async function copyFiles(raw: string, directory: string): Promise<void> {
  // debugfs(8) ends with 0 whatever happened: what came out is looked at instead.
  const { stderr } = await runCommand(
    'debugfs',
    ['-R', `rdump /${AOF_DIRECTORY} ${directory}`, raw],
    { timeoutMs: DISK_CHECK_TIMEOUT_MS },
  );
  const files = await readdir(`${directory}/${AOF_DIRECTORY}`).catch(() => []);
  if (files.some((name) => name.endsWith('.manifest'))) return;
  throw labError('LAB_DISK_UNREADABLE', `no append-only file of Redis on the disk: ${stderr}`);
}

function startServer(directory: string): ChildProcess {
  const options = [
    ['--port', '0', '--unixsocket', socketIn(directory), '--dir', directory],
    ['--appendonly', 'yes', '--save', '', '--loglevel', 'notice'],
  ];
  // redis-tools has the server under the name of the dump checker; it acts by its argv[0].
  const candidates = ['/usr/bin/redis-server', '/usr/bin/redis-check-rdb'];
  const program = candidates.find((path) => existsSync(path)) ?? 'redis-server';
  return spawn(program, options.flat(), {
    argv0: 'redis-server',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

/** Redis has read its file to the end; a truncated last command is dropped, anything else is refused. */
async function loaded(child: ChildProcess): Promise<void> {
  const ready = deferred();
  let log = '';
  const refuse = (why: string): void =>
    ready.reject(
      labError('LAB_DISK_UNREADABLE', `Redis ${why}: ${log.slice(-LOG_TAIL_BYTES_MAX)}`),
    );
  child.stdout?.on('data', (chunk: Buffer) => {
    log = (log + chunk.toString('latin1')).slice(-2 * LOG_TAIL_BYTES_MAX);
    if (log.includes('ready to accept connections')) ready.resolve();
  });
  child.once('error', (error) => refuse(error.message));
  child.once('exit', (code) => refuse(`ended with code ${code}`));
  const timer = setTimeout(() => refuse('does not come up'), REDIS_LOAD_TIMEOUT_MS);
  try {
    await ready.promise;
  } finally {
    clearTimeout(timer);
  }
}
