import { describe, expect, it } from 'vitest';
import { SESSION_TOKENS_MAX } from '../../../src/agent/limits.js';
import { SessionTokens } from '../../../src/agent/session/session-tokens.js';

const BAD = expect.objectContaining({ code: 'WIRE_BAD_TOKEN' });

describe('a session’s token', () => {
  it('admits one connection of each kind', () => {
    const tokens = new SessionTokens();
    const token = tokens.issue();
    expect(token).toMatch(/^[0-9a-f]{64}$/);
    tokens.admit(token, 'checkpoints');
    tokens.admit(token, 'heartbeat 0');
    tokens.admit(token, 'heartbeat 1');
    expect(() => tokens.admit(token, 'checkpoints')).toThrow(BAD);
    expect(() => tokens.admit(token, 'heartbeat 1')).toThrow(BAD);
  });

  it('is one that was given out', () => {
    const tokens = new SessionTokens();
    expect(() => tokens.admit('0'.repeat(64), 'checkpoints')).toThrow(BAD);
    const token = tokens.issue();
    for (const wrong of ['', token.slice(2), `${token}00`, token.replace(/^./, 'x')]) {
      expect(() => tokens.admit(wrong, 'checkpoints'), wrong).toThrow(BAD);
    }
    tokens.admit(token, 'checkpoints');
  });

  it('is forgotten when many later ones were given out', () => {
    const tokens = new SessionTokens();
    const first = tokens.issue();
    const later = Array.from({ length: SESSION_TOKENS_MAX }, () => tokens.issue());
    expect(() => tokens.admit(first, 'checkpoints')).toThrow(BAD);
    for (const token of later) tokens.admit(token, 'checkpoints');
  });
});
