/** `GET /v1/events`: what happened on this host; with `follow=1` a stream of JSON lines until the client hangs up. */
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { FastifyInstance } from 'fastify';
import { agentError } from '../errors.js';
import { type EventQuery, followEvents, readEvents } from '../events/event-tail.js';
import { EVENT_FOLLOWERS_MAX, EVENTS_ASKED_DEFAULT, EVENTS_ASKED_MAX } from '../limits.js';

interface Asked {
  domain?: string;
  since?: string;
  count?: string;
  follow?: string;
}

export function registerEvents(server: FastifyInstance, stateDir: string): void {
  const followers = new Set<AbortController>();
  // A stream would keep the server from closing.
  server.addHook('preClose', async () => {
    for (const follower of followers) follower.abort();
  });
  server.get<{ Querystring: Asked }>('/v1/events', async ({ query }, reply) => {
    const asked = eventQuery(query);
    if (query.follow !== '1') return { events: await readEvents(stateDir, asked) };
    if (followers.size >= EVENT_FOLLOWERS_MAX) {
      throw agentError('AGENT_TOO_MANY_FOLLOWERS', `${followers.size} clients follow events`);
    }
    const ended = new AbortController();
    followers.add(ended);
    reply.hijack();
    const { raw } = reply;
    raw.once('close', () => ended.abort());
    raw.writeHead(200, { 'content-type': 'application/x-ndjson' });
    // The client learns that it is heard before the first event comes.
    raw.flushHeaders();
    try {
      // Read no faster than the client takes it.
      await pipeline(Readable.from(lines(stateDir, asked, ended.signal)), raw);
    } catch (error) {
      // Half an answer cannot be made an error any more; the cut connection says it.
      raw.destroy(error as Error);
    } finally {
      followers.delete(ended);
    }
  });
}

/** @throws AGENT_BAD_REQUEST */
export function eventQuery({
  domain,
  since,
  count = String(EVENTS_ASKED_DEFAULT),
}: Asked): EventQuery {
  const sinceMs = since === undefined ? undefined : Date.parse(since);
  if (Number.isNaN(sinceMs)) {
    throw agentError('AGENT_BAD_REQUEST', `since ${since} is not a time as ISO 8601 has it`);
  }
  const number = Number(count);
  if (!Number.isInteger(number) || number < 0 || number > EVENTS_ASKED_MAX) {
    throw agentError('AGENT_BAD_REQUEST', `count ${count} is not 0 to ${EVENTS_ASKED_MAX}`);
  }
  return { domain, sinceMs, count: number };
}

async function* lines(
  stateDir: string,
  query: EventQuery,
  signal: AbortSignal,
): AsyncGenerator<string> {
  for await (const event of followEvents(stateDir, query, signal)) {
    yield `${JSON.stringify(event)}\n`;
  }
}
