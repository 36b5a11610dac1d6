import { describe, expect, it } from 'vitest';
import { parseTalker } from '../../../src/lab/guest-reports.js';
import { STAMP_KINDS, type Stamp, StampLog, stampSchema } from '../../../src/lab/stamp-log.js';

let atUs = 0;

/** "a> 5 arp": host a's guest said 5. "a< 5 arp": it came out of host a's cable. */
function stampOf(text: string, boot = '1'): Stamp {
  const [, host, way, counter, kind] = /^([ab])([<>]) (\d+) (\w+)$/.exec(text) ?? [];
  atUs += 1;
  return stampSchema.parse({
    host,
    side: way === '>' ? 'inside' : 'outside',
    kind,
    counter: Number(counter),
    boot,
    atUs,
  });
}

function logOf(...said: string[]): StampLog {
  const log = new StampLog();
  for (const text of said) {
    if (text === 'kill') log.expectTakeover('b');
    else log.receive(stampOf(text));
  }
  return log;
}

describe('StampLog', () => {
  it.each([
    {
      name: 'held at the kill',
      said: ['a> 1 arp', 'a< 1 arp', 'a> 2 udp4', 'kill', 'b> 2 arp', 'b< 2 arp'],
      verdict: { resumedAt: 2, highestOutside: 1, highestInside: 2, forgotten: 0, heldBack: 1 },
    },
    {
      name: 'heard and forgotten',
      said: ['a> 1 arp', 'a< 1 arp', 'a> 2 udp4', 'a< 2 udp4', 'kill', 'b> 2 arp'],
      verdict: { resumedAt: 2, highestOutside: 2, highestKind: 'udp4', forgotten: 1, heldBack: 0 },
    },
    {
      name: 'heard and forgotten, of a stream',
      said: ['a> 3 tcp', 'a< 3 tcp', 'kill', 'b> 3 arp'],
      verdict: { highestKind: 'tcp', forgotten: 1 },
    },
    {
      name: 'a stream sends again what was heard before',
      said: ['a> 1 tcp', 'a< 1 tcp', 'kill', 'b> 1 tcp', 'b< 1 tcp', 'b> 2 arp'],
      verdict: { resumedAt: 2, highestOutside: 1, forgotten: 0 },
    },
    {
      name: 'a datagram that waited for an address',
      said: ['a> 2 arp', 'a< 2 arp', 'kill', 'b> 1 udp4', 'b> 3 arp'],
      verdict: { resumedAt: 3, forgotten: 0 },
    },
    {
      name: 'the failed host is heard again',
      said: ['a< 1 arp', 'kill', 'b> 2 arp', 'b< 2 arp', 'a< 3 arp'],
      verdict: { forgotten: 1, spokeAfter: 1 },
    },
    {
      name: 'the failed host runs on unheard',
      said: ['a< 1 arp', 'kill', 'b> 2 arp', 'b< 2 arp', 'a> 3 arp'],
      verdict: { forgotten: 0, spokeAfter: 0, heldBack: 1 },
    },
    {
      name: 'an earlier turn of the host that takes over does not count',
      said: ['b> 1 arp', 'b< 1 arp', 'a< 2 arp', 'kill', 'b> 3 arp'],
      verdict: { resumedAt: 3, forgotten: 0 },
    },
  ])('$name', ({ said, verdict }) => {
    expect(logOf(...said).verdict('b')).toMatchObject({ from: 'a', to: 'b', ...verdict });
  });

  it('has no verdict before the resumed guest spoke', () => {
    expect(logOf('a< 1 arp', 'kill', 'b> 2 udp4').verdict('b')).toBeUndefined();
  });

  it('counts each kind of each host', () => {
    const log = logOf('a< 1 arp', 'a> 2 arp', 'a< 3 llc', 'kill', 'b> 4 vlan', 'b< 4 vlan');
    expect(log.verdict('b')).toMatchObject({
      before: { arp: 1, llc: 1, vlan: 0 },
      after: { arp: 0, llc: 0, vlan: 1 },
    });
    expect(Object.keys(log.outside('a'))).toEqual([...STAMP_KINDS]);
  });

  it('notes what is heard twice, in disorder, or of another start', () => {
    const log = logOf('a< 1 arp', 'a< 3 arp', 'a< 2 arp', 'a< 2 arp', 'a< 3 tcp', 'a< 3 tcp');
    expect([log.repeated, log.disordered, log.boots]).toEqual([1, 2, 1]);
    log.receive(stampOf('a< 1 arp', '2'));
    expect(log.boots).toBe(2);
  });
});

describe('parseTalker', () => {
  it.each([
    {
      line: '17 00ff00ff00ff00ff 1\n',
      report: { counter: 17n, boot: '00ff00ff00ff00ff', connections: 1 },
    },
    { line: '17 xyz 1', report: undefined },
    { line: '17', report: undefined },
  ])('$line', ({ line, report }) => {
    expect(parseTalker(line)).toEqual(report);
  });
});
