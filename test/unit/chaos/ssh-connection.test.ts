/** Commands over one ssh connection, against a server in this process: what is left when the connection is lost. */
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import ssh2, { type ServerChannel } from 'ssh2';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { SshConnection } from '../../../src/chaos/ssh-connection.js';

const UNREACHABLE = { code: 'CHAOS_HOST_UNREACHABLE' };
const TIMEOUT_MS = 5_000;
/** A command that the server never ends. */
const FOREVER = 'forever';

describe('an ssh connection', () => {
  let directory: string;
  let server: ssh2.Server;
  let ssh: SshConnection;
  const sockets: Socket[] = [];
  /** Resolves as soon as the server has such a command. */
  let asked: () => void = () => undefined;

  beforeAll(async () => {
    directory = await mkdtemp(`${tmpdir()}/understudy-ssh-`);
    const { private: secret, public: known } = ssh2.utils.generateKeyPairSync('ed25519');
    await writeFile(`${directory}/known`, `host ${known}\n`);
    await writeFile(`${directory}/key`, secret, { mode: 0o600 });
    server = new ssh2.Server({ hostKeys: [secret] }, (client) => {
      client.on('error', () => undefined);
      client.on('authentication', (context) => context.accept());
      client.on('session', (accept) => {
        accept().on('exec', (acceptExec, _reject, { command }) =>
          answer(acceptExec(), command.includes(FOREVER)),
        );
      });
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const transport = (): Socket => {
      const socket = connect(port, '127.0.0.1');
      sockets.push(socket);
      return socket;
    };
    const target = { host: 'host', port: 22, user: 'root', identityFile: `${directory}/key` };
    ssh = new SshConnection(target, { knownHosts: `${directory}/known`, transport });
  });
  afterEach(() => ssh.close());
  afterAll(async () => {
    server.close();
    await rm(directory, { recursive: true, force: true });
  });

  function answer(channel: ServerChannel, forever: boolean): void {
    channel.on('error', () => undefined);
    if (forever) {
      asked();
      return;
    }
    channel.write('done');
    channel.exit(0);
    channel.end();
  }

  /** Begins a command that has no end, and resolves when the server has it. */
  async function begun(timeoutMs = TIMEOUT_MS): Promise<{ ended: Promise<unknown> }> {
    const arrived = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const ended = ssh.run(FOREVER, timeoutMs).catch((error: unknown) => error);
    await arrived;
    return { ended };
  }

  const runs = async () => expect((await ssh.run('true', TIMEOUT_MS)).stdout).toBe('done');

  it('is used again by the next command', async () => {
    const before = sockets.length;
    await runs();
    await runs();
    expect(sockets.length).toBe(before + 1);
  });

  it('is made again when it was reset between two commands', async () => {
    await runs();
    const lost = sockets.at(-1) as Socket;
    lost.destroy();
    await once(lost, 'close');
    await runs();
  });

  it('is made again in the moment in which it was reset', async () => {
    await runs();
    (sockets.at(-1) as Socket).destroy();
    await expect(ssh.run('true', TIMEOUT_MS)).rejects.toMatchObject(UNREACHABLE);
    await runs();
  });

  it('fails every command that runs on it when it is lost, not only one', async () => {
    const [first, second] = [await begun(), await begun()];
    await runs();
    (sockets.at(-1) as Socket).destroy();
    expect(await first.ended).toMatchObject(UNREACHABLE);
    expect(await second.ended).toMatchObject(UNREACHABLE);
    await runs();
  });

  it('that was lost late does not take the next one with it', async () => {
    await begun(100).then(({ ended }) => ended);
    const late = sockets.at(-1) as Socket;
    await runs();
    if (!late.closed) await once(late, 'close');
    const before = sockets.length;
    await runs();
    expect(sockets.length).toBe(before);
  });
});
