/**
 * Commands on a host over ssh. The host's key must be known already, as `ssh` would ask for it; a connection that
 * was lost, because its host fell, is made again when the next command comes.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import type { Duplex } from 'node:stream';
import { Client, type ClientChannel, type ConnectConfig } from 'ssh2';
import { messageOf } from '../errors.js';
import { quoted } from '../shell-word.js';
import { chaosError } from './errors.js';
import type { InventoryHost } from './inventory.js';
import { OUTPUT_BYTES_MAX, SSH_READY_MS_MAX } from './limits.js';
import { type Outcome, runProgram } from './program.js';

export interface SshOptions {
  /** Default ~/.ssh/known_hosts. */
  knownHosts?: string;
  /** A stream to the host's sshd in place of a TCP connection. */
  transport?: () => Duplex;
}

/** Tried in this order when the inventory names none and no ssh agent runs. */
const KEYS = ['id_ed25519', 'id_ecdsa', 'id_rsa'];

export class SshConnection {
  #client: Promise<Client> | undefined;

  constructor(
    private readonly target: InventoryHost['ssh'],
    private readonly options: SshOptions,
  ) {}

  /**
   * Runs `sh -c SCRIPT` as root to its end, whatever its exit code.
   * @throws CHAOS_HOST_UNREACHABLE also when it is not done within `timeoutMs`
   */
  async run(script: string, timeoutMs: number): Promise<Outcome> {
    const connected = this.#connected();
    const client = await connected;
    const command = `${this.target.user === 'root' ? '' : 'sudo -n '}sh -c ${quoted(script)}`;
    return new Promise((resolve, reject) => {
      const settled = (): void => {
        clearTimeout(timer);
        client.off('close', onClose);
      };
      const fail = (cause: unknown): void => {
        settled();
        this.#forget(connected);
        client.destroy();
        reject(this.#unreachable(cause));
      };
      const onClose = (): void => fail('the connection was closed');
      const timer = setTimeout(() => fail(`no end within ${timeoutMs} ms`), timeoutMs);
      client.once('close', onClose);
      try {
        client.exec(command, (error, channel) => {
          if (error !== undefined) return fail(error);
          collect(channel, (outcome) => {
            settled();
            resolve(outcome);
          });
        });
      } catch (error) {
        // It was closed since it was asked for.
        fail(error);
      }
    });
  }

  /** What runs on it fails; the next command connects anew. */
  close(): void {
    const client = this.#client;
    this.#client = undefined;
    client?.then(
      (open) => open.destroy(),
      () => undefined,
    );
  }

  #connected(): Promise<Client> {
    if (this.#client !== undefined) return this.#client;
    const connected = this.#connect().then(
      (client) => {
        // A connection that was reset has no end, only a close.
        const forget = (): void => this.#forget(connected);
        return client.once('end', forget).once('close', forget);
      },
      (error: unknown) => {
        this.#forget(connected);
        throw this.#unreachable(error);
      },
    );
    this.#client = connected;
    return connected;
  }

  #forget(connected: Promise<Client>): void {
    if (this.#client === connected) this.#client = undefined;
  }

  async #connect(): Promise<Client> {
    const { host, port, user } = this.target;
    const { transport } = this.options;
    const config: ConnectConfig = {
      username: user,
      readyTimeout: SSH_READY_MS_MAX,
      keepaliveInterval: SSH_READY_MS_MAX / 3,
      hostVerifier: (key: Buffer, answer: (known: boolean) => void) => {
        this.#isKnown(key).then(answer, () => answer(false));
      },
      ...(transport === undefined ? { host, port } : { sock: transport() }),
      ...(await this.#credentials()),
    };
    const client = new Client();
    await new Promise<void>((resolve, reject) => {
      client.once('ready', resolve).once('error', reject).connect(config);
    });
    // From here on a failure closes the connection, and whoever uses it hears of that.
    client.on('error', () => undefined);
    return client;
  }

  async #credentials(): Promise<Pick<ConnectConfig, 'privateKey' | 'agent'>> {
    const { identityFile } = this.target;
    const agent = process.env.SSH_AUTH_SOCK;
    if (identityFile === undefined && agent !== undefined) return { agent };
    const found = KEYS.map((name) => `${homedir()}/.ssh/${name}`).find((path) => existsSync(path));
    const path = identityFile?.replace(/^~(?=\/)/, homedir()) ?? found;
    return path === undefined ? {} : { privateKey: await readFile(path) };
  }

  // ssh-keygen knows every kind of line there is, hashed names among them.
  async #isKnown(key: Buffer): Promise<boolean> {
    const { host, port } = this.target;
    const name = port === 22 ? host : `[${host}]:${port}`;
    const file = this.options.knownHosts ?? `${homedir()}/.ssh/known_hosts`;
    const found = await runProgram('ssh-keygen', ['-F', name, '-f', file]);
    const wanted = key.toString('base64');
    return (found?.stdout ?? '').split(/\s+/).includes(wanted);
  }

  #unreachable(cause: unknown): Error {
    const { host, port, user } = this.target;
    const why = typeof cause === 'string' ? cause : messageOf(cause);
    return chaosError('CHAOS_HOST_UNREACHABLE', `${user}@${host}:${port}: ${why}`, { cause });
  }
}

function collect(channel: ClientChannel, onEnd: (outcome: Outcome) => void): void {
  const [out, err] = [new Text(), new Text()];
  let exitCode = -1;
  channel.on('data', (data: Buffer) => out.add(data));
  channel.stderr.on('data', (data: Buffer) => err.add(data));
  channel.on('exit', (code: number | null) => {
    exitCode = code ?? -1;
  });
  channel.on('close', () => onEnd({ exitCode, stdout: out.text, stderr: err.text }));
}

/** What a command said, up to OUTPUT_BYTES_MAX. */
class Text {
  readonly #parts: Buffer[] = [];
  #bytes = 0;

  add(part: Buffer): void {
    if (this.#bytes >= OUTPUT_BYTES_MAX) return;
    this.#bytes += part.length;
    this.#parts.push(part);
  }

  get text(): string {
    return Buffer.concat(this.#parts).toString('utf8');
  }
}
