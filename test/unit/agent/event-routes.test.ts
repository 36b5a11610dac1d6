/** GET /v1/events over a real socket, with the client that the CLI uses. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AgentClient } from '../../../src/agent/control/client.js';
import { eventQuery, registerEvents } from '../../../src/agent/control/event-routes.js';
import { EventLog } from '../../../src/agent/events/event-log.js';
import { EVENT_FOLLOWERS_MAX } from '../../../src/agent/limits.js';
import { reasonOf } from '../../../src/agent/status.js';

const none = (): void => undefined;
const event = (domain: string) => ({ time: '2026-11-22T00:00:00Z', domain, event: 'takeover' });

let directory = '';
let server: FastifyInstance;
let client: AgentClient;
let log: EventLog;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'understudy-events-'));
  server = Fastify();
  server.setErrorHandler((error, _request, reply) =>
    reply.code(409).send({ error: reasonOf(error) }),
  );
  registerEvents(server, directory);
  await server.listen({ path: `${directory}/agent.sock` });
  client = new AgentClient(`${directory}/agent.sock`);
  log = new EventLog(directory, { debug: none, info: none, warn: none, error: none });
});
afterEach(async () => {
  await server.close();
  await rm(directory, { recursive: true });
});

describe('GET /v1/events', () => {
  it('gives what happened', async () => {
    log.append(event('web1'));
    log.append(event('web2'));
    await log.settled();
    expect(await client.events({ domain: 'web2' })).toEqual([event('web2')]);
    expect(await client.events({ since: '2026-11-22T00:00:01Z' })).toEqual([]);
  });

  it('streams what happens, to several clients, until each hangs up', async () => {
    const stops = [new AbortController(), new AbortController()];
    const streams = stops.map(({ signal }) => client.followEvents({}, signal));
    const firsts = streams.map((stream) => stream.next());
    log.append(event('web1'));
    for (const first of firsts) expect((await first).value).toEqual(event('web1'));
    stops[0]?.abort();
    expect((await streams[0]?.next())?.done).toBe(true);
    log.append(event('web2'));
    expect((await streams[1]?.next())?.value).toEqual(event('web2'));
    stops[1]?.abort();
  });

  it('ends its streams when the agent ends', async () => {
    const stream = client.followEvents();
    const first = stream.next();
    log.append(event('web1'));
    await first;
    const next = stream.next();
    await server.close();
    expect((await next).done).toBe(true);
  });

  it('lets in no more than its bound, and again when one went', async () => {
    log.append(event('web1'));
    await log.settled();
    const stops = Array.from({ length: EVENT_FOLLOWERS_MAX }, () => new AbortController());
    await Promise.all(stops.map(({ signal }) => client.followEvents({}, signal).next()));
    const refused = client.followEvents().next();
    await expect(refused).rejects.toMatchObject({ code: 'AGENT_TOO_MANY_FOLLOWERS' });
    for (const stop of stops) stop.abort();
    const stop = new AbortController();
    await expect
      .poll(() =>
        client
          .followEvents({}, stop.signal)
          .next()
          .catch(() => undefined),
      )
      .toMatchObject({ value: event('web1') });
    stop.abort();
  });

  it.each([
    { since: 'yesterday' },
    { count: '-1' },
    { count: '1.5' },
    { count: 'x' },
    { count: '100001' },
  ])('refuses %j', (query) => {
    expect(() => eventQuery(query)).toThrow(expect.objectContaining({ code: 'AGENT_BAD_REQUEST' }));
  });
});
