/** A connection over loopback TCP to a process that throws everything away (sink.c). */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { runCommand } from '../../src/lab/command.js';
import { FrameChannel } from '../../src/wire/channel.js';
import { LOOPBACK_TIMEOUT_MS } from '../limits.js';
import { endChild } from './child.js';

const SOURCE = fileURLToPath(new URL('../../../bench/disk/sink.c', import.meta.url));

export interface Sink {
  channel: FrameChannel;
  close(): Promise<void>;
}

/** The compiled program, from which sinks are started. */
export class SinkProgram {
  private constructor(private readonly directory: string) {}

  static async build(): Promise<SinkProgram> {
    const directory = await mkdtemp(`${tmpdir()}/understudy-sink-`);
    await runCommand('gcc', ['-O2', '-o', `${directory}/sink`, SOURCE]);
    return new SinkProgram(directory);
  }

  async start(): Promise<Sink> {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const child = spawn(`${this.directory}/sink`, [String(port)], { stdio: 'inherit' });
    try {
      const signal = AbortSignal.timeout(LOOPBACK_TIMEOUT_MS);
      const [socket] = (await once(server, 'connection', { signal })) as [Socket];
      return { channel: new FrameChannel(socket), close: () => endChild(child) };
    } catch (error) {
      await endChild(child);
      throw error;
    } finally {
      server.close();
    }
  }

  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true });
  }
}
