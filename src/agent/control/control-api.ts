/** The agent's control API: HTTP + JSON on a root-only UNIX socket; the CLI uses nothing else. docs/protocol.md lists it. */
import { chmod, mkdir, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import Fastify, { type FastifyInstance } from 'fastify';
import { UnderstudyError } from '../../errors.js';
import type { Agent } from '../agent.js';
import type { Endpoint } from '../domain/check.js';
import { agentError } from '../errors.js';
import { epochCount } from '../primary/epoch-report.js';
import { reasonOf } from '../status.js';
import { type AgentVersion, API_VERSION, VERSION } from '../version.js';
import { controlSocket } from './control-socket.js';
import { parseEndpoint } from './endpoint.js';
import { registerEvents } from './event-routes.js';
import { backupNamed, requireKnown, withDefaults } from './protect-defaults.js';
import { issueOf, protectRequestSchema } from './protect-request.js';

interface ByDomain {
  Params: { domain: string };
}

/** Errors that mean "there is none", for the HTTP code; everything else typed is a conflict. */
const NOT_FOUND = new Set(['AGENT_NOT_PROTECTED', 'LIBVIRT_NO_DOMAIN']);

function backupOf(text: string | undefined): Endpoint | undefined {
  if (text === undefined) return undefined;
  const endpoint = parseEndpoint(text);
  if (endpoint === undefined) {
    throw agentError('AGENT_BAD_REQUEST', `backup ${text} is not HOST[:PORT]`);
  }
  return endpoint;
}

function agentVersion(): AgentVersion {
  return { version: VERSION, api: API_VERSION, pid: process.pid };
}

/** `runDir` holds the socket, `stateDir` the events. */
export async function serveControl(
  agent: Agent,
  { runDir, stateDir }: { runDir: string; stateDir: string },
): Promise<FastifyInstance> {
  const server = Fastify();
  server.setErrorHandler((error, _request, reply) => {
    const status = error instanceof UnderstudyError ? (NOT_FOUND.has(error.code) ? 404 : 409) : 500;
    return reply.code(status).send({ error: reasonOf(error) });
  });
  server.get('/v1/version', async () => agentVersion());
  server.get<{ Querystring: { all?: string } }>('/v1/domains', async ({ query }) => {
    const domains = await agent.list();
    if (query.all !== '1') return { domains };
    const ours = new Set(domains.map(({ domain }) => domain));
    const others = (await agent.libvirtDomains()).filter(({ domain }) => !ours.has(domain));
    return { domains, others };
  });
  server.get<ByDomain>('/v1/domains/:domain', ({ params }) => agent.status(params.domain));
  server.get<ByDomain & { Querystring: { backup?: string } }>(
    '/v1/domains/:domain/check',
    async ({ params, query }) => {
      const backup = backupOf(query.backup);
      const hosts = await agent.trust.hosts();
      if (backup !== undefined) requireKnown(hosts, backup);
      const named = backup && backupNamed(hosts, backup);
      return agent.check(params.domain, named?.backup ?? backup);
    },
  );
  server.post<ByDomain & { Body: Record<string, unknown> }>(
    '/v1/domains/:domain/protect',
    async ({ params, body }) => {
      const hosts = await agent.trust.hosts();
      const full = withDefaults(body ?? {}, { hosts, heartbeat: agent.options.heartbeat });
      const request = protectRequestSchema.safeParse({ ...full, domain: params.domain });
      if (!request.success) throw agentError('AGENT_BAD_REQUEST', issueOf(request.error));
      requireKnown(hosts, request.data.backup);
      return agent.protect(request.data);
    },
  );
  server.post<ByDomain & { Body: { force?: boolean } }>(
    '/v1/domains/:domain/unprotect',
    ({ params, body }) => agent.unprotect(params.domain, body?.force === true),
  );
  server.post<ByDomain & { Body: { force?: boolean } }>(
    '/v1/domains/:domain/pause',
    ({ params, body }) => agent.pause(params.domain, body?.force === true),
  );
  server.post<ByDomain>('/v1/domains/:domain/resume', ({ params }) => agent.resume(params.domain));
  server.post<ByDomain>('/v1/domains/:domain/switchover', ({ params }) =>
    agent.switchover(params.domain),
  );
  server.post<ByDomain & { Body: { wait?: boolean } }>(
    '/v1/domains/:domain/checkpoint',
    ({ params, body }) => agent.checkpoint(params.domain, body?.wait === true),
  );
  server.get<ByDomain & { Querystring: { count?: string } }>(
    '/v1/domains/:domain/epochs',
    ({ params, query }) => agent.epochs(params.domain, epochCount(query.count)),
  );
  server.post<ByDomain>('/v1/domains/:domain/failover', ({ params }) =>
    agent.failover(params.domain),
  );
  registerEvents(server, stateDir);
  const path = controlSocket(runDir);
  await mkdir(dirname(path), { recursive: true, mode: 0o711 });
  await rm(path, { force: true });
  await server.listen({ path });
  await chmod(path, 0o600);
  return server;
}
