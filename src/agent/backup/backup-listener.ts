/**
 * Where a primary reaches its backup session: over TLS always, and where this host’s configuration allows it also
 * without, for a replication link that nobody else is on. Either way only with a token.
 */

import { decodeMessage, type Message } from '../../wire/messages.js';
import type { PeerTrust } from '../../wire/trust.js';
import type { Log } from '../log.js';
import type { BackupConfig } from '../session/session-config.js';
import { type HelloHandler, listenForHello } from '../session/session-listener.js';
import { SessionTokens } from '../session/session-tokens.js';
import type { BackupSession } from './backup-session.js';

export interface BackupListener {
  /** Of TLS. */
  port: number;
  /** What a primary needs to connect, once. */
  admit(): Message<'prepared'>;
  close(): void;
}

export async function listenForPrimary(
  session: BackupSession,
  { listenHost: host, peers }: BackupConfig,
  { trust, log }: { trust: PeerTrust; log: Log },
): Promise<BackupListener> {
  const tokens = new SessionTokens();
  const handler: HelloHandler = {
    onHello: async (channel, hello) => {
      if (decodeMessage('purpose', hello.payload).purpose === 'heartbeat') {
        const { token, path } = decodeMessage('helloHeartbeat', hello.payload);
        tokens.admit(token, `heartbeat ${path}`);
        return session.acceptHeartbeat(channel, hello);
      }
      tokens.admit(decodeMessage('helloCheckpoints', hello.payload).token, 'checkpoints');
      return session.acceptCheckpoints(channel, hello);
    },
    term: () => session.status().term,
  };
  const address = { host, port: 0 };
  const secure = await listenForHello(address, handler, { security: trust, log });
  const plain = peers.encrypt
    ? undefined
    : await listenForHello(address, handler, { security: 'plain', log });
  const { port } = secure;
  const ports = plain === undefined ? { port } : { port, plainPort: plain.port };
  return {
    port,
    admit: () => ({ ...ports, token: tokens.issue() }),
    close: () => {
      secure.server.close();
      plain?.server.close();
    },
  };
}
