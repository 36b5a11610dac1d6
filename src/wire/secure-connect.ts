/** Opens a TLS connection to another host; resolves only when both sides know who the other is. */
import type { OnReadOpts } from 'node:net';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import { FrameChannel } from './channel.js';
import { wireError } from './errors.js';
import { CONNECT_TIMEOUT_MS, READ_BYTES_MAX } from './limits.js';
import { SwitchedReads } from './straight-reads.js';
import { tlsOptions } from './tls-options.js';
import { handshakeError, type PeerTrust, refusalOfCertificate } from './trust.js';

export interface PeerAddress {
  host: string;
  port: number;
  localAddress?: string;
}

/**
 * Connects, shakes hands and judges the peer within `timeoutMs`. The peer's verdict on us comes later: as `refuse`
 * in place of an answer.
 * @throws WIRE_UNREACHABLE, WIRE_NOT_TLS, WIRE_HANDSHAKE_FAILED, WIRE_NO_CERTIFICATE, WIRE_FOREIGN_CA,
 *   WIRE_CERTIFICATE_EXPIRED, WIRE_UNKNOWN_HOST, and what is wrong with our own credentials
 */
export async function connectSecure(
  address: PeerAddress,
  trust: PeerTrust,
  timeoutMs: number = CONNECT_TIMEOUT_MS,
): Promise<FrameChannel> {
  const reads = new SwitchedReads();
  const socket = await shakeHands(
    {
      ...address,
      ...tlsOptions(await trust.credentials()),
      // Judged below, with codes of ours.
      rejectUnauthorized: false,
      checkServerIdentity: () => undefined,
      onread: {
        buffer: () => reads.room().subarray(0, READ_BYTES_MAX),
        callback: (bytes) => {
          reads.filled(bytes);
          return true;
        },
      },
    },
    address,
    timeoutMs,
  );
  // At once: it hears what the peer says, and that it hangs up, while its certificate is judged.
  const channel = new FrameChannel(socket, reads);
  try {
    const peer = `${address.host}:${address.port}`;
    const certificate = socket.getPeerX509Certificate();
    const verdict = socket.authorized ? undefined : String(socket.authorizationError);
    const refusal = refusalOfCertificate(peer, certificate, verdict);
    if (refusal !== undefined || certificate === undefined) throw refusal;
    await trust.identify(certificate, address.host);
    return channel;
  } catch (error) {
    channel.destroy();
    throw error;
  }
}

function shakeHands(
  options: ConnectionOptions & { onread: OnReadOpts },
  { host, port }: PeerAddress,
  timeoutMs: number,
): Promise<TLSSocket> {
  const peer = `${host}:${port}`;
  return new Promise((resolve, reject) => {
    let connected = false;
    const socket = connect(options);
    const fail = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(error);
    };
    const timer = setTimeout(() => {
      const message = connected ? 'no TLS handshake' : 'no connection';
      const code = connected ? 'WIRE_HANDSHAKE_FAILED' : 'WIRE_UNREACHABLE';
      fail(wireError(code, `${peer}: ${message} in ${timeoutMs} ms`));
    }, timeoutMs);
    const onError = (cause: Error): void =>
      fail(
        connected
          ? handshakeError(peer, cause)
          : wireError('WIRE_UNREACHABLE', `${peer}: ${cause.message}`, { cause }),
      );
    const onClose = (): void =>
      fail(wireError('WIRE_HANDSHAKE_FAILED', `${peer} closed before the handshake was over`));
    socket.once('error', onError);
    socket.once('close', onClose);
    socket.once('connect', () => {
      connected = true;
    });
    socket.once('secureConnect', () => {
      clearTimeout(timer);
      socket.off('error', onError);
      socket.off('close', onClose);
      resolve(socket);
    });
  });
}
