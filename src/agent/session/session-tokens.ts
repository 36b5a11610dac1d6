/**
 * What a primary must show to a backup session besides its certificate: a token that the session's agent gave it
 * over TLS. Each admits one connection for checkpoints and one for each heartbeat path. On a plain replication link
 * it is all that there is, and worth nothing to whoever reads along.
 */
import { randomBytes, timingSafeEqual } from 'node:crypto';
import { wireError } from '../../wire/errors.js';
import { TOKEN_BYTES } from '../../wire/limits.js';
import { SESSION_TOKENS_MAX } from '../limits.js';

interface Token {
  bytes: Buffer;
  used: Set<string>;
}

export class SessionTokens {
  #tokens: Token[] = [];

  /** 64 hex digits. Of many that were never used the oldest is forgotten. */
  issue(): string {
    const bytes = randomBytes(TOKEN_BYTES);
    this.#tokens = [...this.#tokens, { bytes, used: new Set<string>() }].slice(-SESSION_TOKENS_MAX);
    return bytes.toString('hex');
  }

  /** Uses a token up for one connection ("checkpoints", "heartbeat 0"). @throws WIRE_BAD_TOKEN */
  admit(shown: string, connection: string): void {
    const bytes = Buffer.from(shown, 'hex');
    const token = this.#tokens.find(
      (known) => bytes.length === TOKEN_BYTES && timingSafeEqual(known.bytes, bytes),
    );
    if (token === undefined) {
      throw wireError('WIRE_BAD_TOKEN', `${connection}: this session gave out no such token`);
    }
    if (token.used.has(connection)) {
      throw wireError('WIRE_BAD_TOKEN', `${connection}: the token was used already`);
    }
    token.used.add(connection);
  }
}
