/** One ssh connection as root to another host: runs commands and writes files. Never a password, never an unknown key. */
import { appendFile, mkdir, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import {
  type AnyAuthMethod,
  type AuthenticationType,
  Client,
  type ServerHostKeyAlgorithm,
} from 'ssh2';
import { messageOf } from '../errors.js';
import { quoted } from '../shell-word.js';
import { clusterError } from './errors.js';
import {
  fingerprint,
  isAmong,
  type KnownKeys,
  knownHostLine,
  knownHostName,
  knownKeys,
} from './known-hosts.js';
import { SSH_COMMAND_TIMEOUT_MS, SSH_OUTPUT_BYTES_MAX, SSH_READY_TIMEOUT_MS } from './limits.js';

export interface SshTarget {
  user: string;
  host: string;
  port: number;
  /** File of a private key; without it an ssh agent and the usual files are tried. */
  identity: string | undefined;
  /** Write a key that is not known into known_hosts, instead of refusing it. */
  acceptNewHostKey: boolean;
  /** Default ~/.ssh/known_hosts; /etc/ssh/ssh_known_hosts is read as well. */
  knownHosts?: string;
}

export interface RemoteOutcome {
  exitCode: number;
  stdout: string;
  stderr: string;
}

const SYSTEM_KNOWN_HOSTS = '/etc/ssh/ssh_known_hosts';
const USUAL_KEYS = ['id_ed25519', 'id_ecdsa', 'id_rsa'];
/** What an "ssh-rsa" key may sign with; SHA-1 is not asked for. */
const RSA_SIGNATURES = ['rsa-sha2-512', 'rsa-sha2-256'] as const;

export class SshConnection {
  private constructor(
    private readonly client: Client,
    private readonly target: SshTarget,
  ) {}

  /** @throws HOST_SSH_FAILED, HOST_KEY_UNKNOWN, HOST_KEY_CHANGED */
  static async open(target: SshTarget): Promise<SshConnection> {
    const path = target.knownHosts ?? join(homedir(), '.ssh', 'known_hosts');
    const known = await keysOf(target, [path, SYSTEM_KNOWN_HOSTS]);
    const authHandler = await waysIn(target);
    const client = new Client();
    const seen = await connect(client, target, known, authHandler);
    if (seen !== undefined) {
      await mkdir(dirname(path), { recursive: true, mode: 0o700 });
      await appendFile(path, knownHostLine(target.host, target.port, seen), { mode: 0o600 });
    }
    return new SshConnection(client, target);
  }

  /** Resolves when the command has ended, however it did. @throws HOST_SSH_FAILED */
  run(command: string, input = ''): Promise<RemoteOutcome> {
    return new Promise((resolve, reject) => {
      const fail = (why: string): void => {
        clearTimeout(timer);
        reject(clusterError('HOST_SSH_FAILED', `${this.target.host}: ${why}`));
      };
      const timer = setTimeout(() => {
        this.client.destroy();
        fail(`no end of "${command}" in ${SSH_COMMAND_TIMEOUT_MS} ms`);
      }, SSH_COMMAND_TIMEOUT_MS);
      this.client.once('close', () => fail('the connection broke'));
      this.client.exec(command, (error, channel) => {
        if (error !== undefined) {
          fail(error.message);
          return;
        }
        const output = { stdout: '', stderr: '' };
        const take = (stream: keyof typeof output) => (bytes: Buffer) => {
          output[stream] = (output[stream] + bytes.toString('utf8')).slice(-SSH_OUTPUT_BYTES_MAX);
        };
        let exitCode = -1;
        channel.on('data', take('stdout'));
        channel.stderr.on('data', take('stderr'));
        channel.on('exit', (code: number | null) => {
          exitCode = code ?? -1;
        });
        channel.on('close', () => {
          clearTimeout(timer);
          this.client.removeAllListeners('close');
          resolve({ exitCode, ...output });
        });
        channel.end(input);
      });
    });
  }

  /** Runs a script of sh; what it prints. @throws HOST_COMMAND_FAILED unless it ends with 0 */
  async script(what: string, text: string): Promise<string> {
    const { exitCode, stdout, stderr } = await this.run('sh -s', text);
    if (exitCode !== 0) {
      const said = (stderr || stdout).trim() || `exit code ${exitCode}`;
      throw clusterError('HOST_COMMAND_FAILED', `${this.target.host}: ${what}: ${said}`);
    }
    return stdout;
  }

  /** Replaces a file of root's, whole or not at all. @throws HOST_COMMAND_FAILED */
  async writeFile(path: string, text: string): Promise<void> {
    const command = [
      'umask 077',
      `mkdir -p ${quoted(dirname(path))}`,
      `cat > ${quoted(`${path}.new`)}`,
      `sync ${quoted(`${path}.new`)}`,
      `mv ${quoted(`${path}.new`)} ${quoted(path)}`,
    ].join(' && ');
    const { exitCode, stderr } = await this.run(command, text);
    if (exitCode !== 0) {
      const message = `${this.target.host}: writing ${path}: ${stderr.trim()}`;
      throw clusterError('HOST_COMMAND_FAILED', message);
    }
  }

  close(): void {
    this.client.removeAllListeners('close');
    this.client.end();
  }
}

/** Resolves with the host's key when it is new and was to be accepted. */
function connect(
  client: Client,
  target: SshTarget,
  known: KnownKeys,
  authHandler: AnyAuthMethod[],
): Promise<Buffer | undefined> {
  const { user, host, port } = target;
  return new Promise((resolve, reject) => {
    let fresh: Buffer | undefined;
    let refusal: Error | undefined;
    client.once('ready', () => resolve(fresh));
    client.once('error', (cause) => {
      const message = `${user}@${host}:${port}: ${cause.message}`;
      reject(refusal ?? clusterError('HOST_SSH_FAILED', message, { cause }));
    });
    client.connect({
      host,
      port,
      username: user,
      readyTimeout: SSH_READY_TIMEOUT_MS,
      keepaliveInterval: SSH_READY_TIMEOUT_MS,
      authHandler,
      ...(known.types.length === 0 ? {} : { algorithms: { serverHostKey: signaturesOf(known) } }),
      hostVerifier: (key: Buffer) => {
        refusal = refusalOfKey(target, known, key);
        if (refusal === undefined && !isAmong(key, known.keys)) fresh = key;
        return refusal === undefined;
      },
    });
  });
}

function refusalOfKey(target: SshTarget, known: KnownKeys, key: Buffer): Error | undefined {
  const name = knownHostName(target.host, target.port);
  if (isAmong(key, known.revoked)) {
    return clusterError('HOST_KEY_CHANGED', `${name} shows a key that was revoked`);
  }
  if (isAmong(key, known.keys)) return undefined;
  const print = fingerprint(key);
  if (known.keys.length > 0) {
    return clusterError(
      'HOST_KEY_CHANGED',
      `${name} shows another key than it is known by: ${print}`,
    );
  }
  if (target.acceptNewHostKey) return undefined;
  return clusterError('HOST_KEY_UNKNOWN', `${name} is not in known_hosts; it shows ${print}`);
}

/** So that the host shows a key that is known, if it has one. */
function signaturesOf({ types }: KnownKeys): ServerHostKeyAlgorithm[] {
  const all = types.flatMap((type) => (type === 'ssh-rsa' ? [...RSA_SIGNATURES] : [type]));
  return [...new Set(all)] as ServerHostKeyAlgorithm[];
}

async function keysOf({ host, port }: SshTarget, paths: readonly string[]): Promise<KnownKeys> {
  const texts = await Promise.all(paths.map((path) => readIfThere(path)));
  return knownKeys(texts.join('\n'), host, port);
}

async function waysIn({ user: username, identity }: SshTarget): Promise<AnyAuthMethod[]> {
  const publicKey: AuthenticationType = 'publickey';
  if (identity !== undefined) {
    const key = await readIfThere(identity);
    if (key === '') throw clusterError('HOST_SSH_FAILED', `there is no key in ${identity}`);
    return [{ type: publicKey, username, key }];
  }
  const agent = process.env.SSH_AUTH_SOCK;
  const keys = await Promise.all(
    USUAL_KEYS.map((name) => readIfThere(join(homedir(), '.ssh', name))),
  );
  const ways: AnyAuthMethod[] = [
    ...(agent === undefined ? [] : [{ type: 'agent' as const, username, agent }]),
    ...keys.filter((key) => key !== '').map((key) => ({ type: publicKey, username, key })),
  ];
  if (ways.length > 0) return ways;
  throw clusterError(
    'HOST_SSH_FAILED',
    'there is no ssh agent and no key in ~/.ssh; use --identity',
  );
}

async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw clusterError('HOST_SSH_FAILED', `${path}: ${messageOf(error)}`, { cause: error });
  }
}
