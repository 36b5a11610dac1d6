/**
 * The listening end of TLS: shakes hands over one accepted socket, within a bound, and judges the caller.
 * Each connection gets a context of its own, so that a renewed certificate counts from the next one on.
 */
import type { Socket } from 'node:net';
import { createServer, type TLSSocket } from 'node:tls';
import { UnderstudyError } from '../errors.js';
import { FrameChannel } from './channel.js';
import { wireError } from './errors.js';
import { HANDSHAKE_TIMEOUT_MS } from './limits.js';
import { tlsOptions } from './tls-options.js';
import { handshakeError, type PeerTrust, refusalOfCertificate } from './trust.js';

export interface SecureConnection {
  channel: FrameChannel;
  /** Why the caller is not let in. The connection stands, so that it can be told. */
  refusal: UnderstudyError | undefined;
}

/**
 * The connection over `accepted`, of which nothing may have been read and which is dead when this throws.
 * @throws WIRE_NOT_TLS, WIRE_HANDSHAKE_FAILED, and what is wrong with our own credentials
 */
export async function acceptSecure(
  accepted: Socket,
  trust: PeerTrust,
  timeoutMs: number = HANDSHAKE_TIMEOUT_MS,
): Promise<SecureConnection> {
  try {
    const options = tlsOptions(await trust.credentials());
    const socket = await shakeHands(accepted, options, timeoutMs);
    // At once: a caller may hang up while it is judged.
    const channel = new FrameChannel(socket);
    return { channel, refusal: await judge(socket, trust) };
  } catch (error) {
    accepted.destroy();
    throw error;
  }
}

async function judge(socket: TLSSocket, trust: PeerTrust): Promise<UnderstudyError | undefined> {
  const certificate = socket.getPeerX509Certificate();
  const verdict = socket.authorized ? undefined : String(socket.authorizationError);
  const refusal = refusalOfCertificate(peerOf(socket), certificate, verdict);
  if (refusal !== undefined || certificate === undefined) return refusal;
  try {
    await trust.identify(certificate);
    return undefined;
  } catch (error) {
    if (error instanceof UnderstudyError) return error;
    throw error;
  }
}

function shakeHands(
  accepted: Socket,
  options: ReturnType<typeof tlsOptions>,
  timeoutMs: number,
): Promise<TLSSocket> {
  const peer = peerOf(accepted);
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      clearTimeout(timer);
      accepted.destroy();
      reject(error);
    };
    // tls.Server's own limit starts anew with every byte that trickles in.
    const timer = setTimeout(
      () =>
        fail(wireError('WIRE_HANDSHAKE_FAILED', `${peer}: no TLS handshake in ${timeoutMs} ms`)),
      timeoutMs,
    );
    accepted.once('error', (cause) => fail(handshakeError(peer, cause)));
    // It never listens: sockets are handed to it, as its documentation allows ('connection').
    const server = createServer({ ...options, requestCert: true, rejectUnauthorized: false });
    server.once('tlsClientError', (cause) => fail(handshakeError(peer, cause)));
    server.once('secureConnection', (socket) => {
      clearTimeout(timer);
      resolve(socket);
    });
    server.emit('connection', accepted);
  });
}

function peerOf(socket: Socket): string {
  return `${socket.remoteAddress}:${socket.remotePort}`;
}
