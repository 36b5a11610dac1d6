/**
 * A monitor of QEMU's for us alone, beside libvirt's: a pause that goes through it need not go through libvirt.
 *
 * A standby is started with it (standby-xml.ts), so that every guest has one that has changed hosts once. QEMU
 * connects, again and again until somebody listens, so that it is there after a session ended and began anew,
 * and so that a QEMU that may not connect (AppArmor, SELinux) costs nothing but the speed.
 */
import { chmod, chown, mkdir, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import { native } from '../native.js';
import type { MonitorPath } from './monitor.js';
import { MonitorConnection } from './monitor-connection.js';

export interface OwnMonitorOptions {
  domain: string;
  /** As QEMU was told. */
  path: string;
  /** Of the QEMU; no other process is let in. */
  pid: number;
  uid: number;
}

/** The part of net.Socket that Node does not document. */
interface DescriptorHolder {
  _handle?: { fd?: number } | null;
}

export class OwnMonitor {
  readonly #server: Server;
  #connection: MonitorConnection | undefined;

  private constructor(private readonly options: OwnMonitorOptions) {
    this.#server = createServer((socket) => void this.#accept(socket));
  }

  /** Waits for QEMU from now on. @throws errors of mkdir(2), bind(2), chown(2), with `code` */
  static async listen(options: OwnMonitorOptions): Promise<OwnMonitor> {
    const { path, uid } = options;
    // QEMU runs as a user of its own, who must be able to enter.
    await mkdir(dirname(path), { recursive: true, mode: 0o711 });
    await rm(path, { force: true });
    const monitor = new OwnMonitor(options);
    const server = monitor.#server;
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(path, resolve);
    });
    try {
      await chmod(path, 0o600);
      await chown(path, uid, -1);
    } catch (error) {
      await monitor.close();
      throw error;
    }
    return monitor;
  }

  get isConnected(): boolean {
    return this.#connection !== undefined;
  }

  /** Undefined while no command can be sent. */
  get path(): MonitorPath | undefined {
    return this.#connection?.isFree === true ? this.#connection : undefined;
  }

  async close(): Promise<void> {
    this.#connection?.close();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #accept(socket: Socket): Promise<void> {
    const { domain, pid } = this.options;
    // What goes wrong with it is met as its end.
    socket.on('error', () => undefined);
    try {
      const fd = (socket as DescriptorHolder)._handle?.fd ?? -1;
      if (this.#connection !== undefined || native.peerProcess(fd) !== pid) {
        socket.destroy();
        return;
      }
      this.#connection = await MonitorConnection.begin(socket, fd, domain, () => {
        this.#connection = undefined;
      });
    } catch {
      // QEMU comes again; until then pauses go through libvirt.
      socket.destroy();
    }
  }
}
