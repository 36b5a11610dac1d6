/**
 * The demo: a real guest on two real hosts is protected, and goes through a scenario in the middle of a client's
 * conversation. Tells the story to a narrator and returns the figures.
 */
import { monotonicMs } from '../../clock.js';
import { Lab } from '../lab.js';
import type { HostName } from '../layout.js';
import { auditDisk } from './disk-audit.js';
import { type DemoFigures, type DemoOptions, type DiskFindings, figuresOf } from './figures.js';
import { SCENARIOS } from './scenarios.js';
import { type Beginning, DOMAIN, type Narrator, Stage } from './stage.js';

export async function runDemo(options: DemoOptions, tell: Narrator): Promise<DemoFigures> {
  const scenario = SCENARIOS[options.scenario ?? 'kill-primary'];
  const startedAtMs = monotonicMs();
  const lab = await Lab.up();
  let stage: Stage | undefined;
  try {
    stage = await Stage.set({ lab, startedAtMs }, options, scenario, tell);
    const beginning = await stage.begin(scenario);
    const endsOn = await scenario.play(stage);
    const client = await stage.client.finish(momentsOf(beginning, stage));
    const states = await stage.statesSeen();
    const { askedAtMs, protectedAtMs, primary, apartMs } = beginning;
    return figuresOf({
      ...{ options, primary, apartMs, askedAtMs, client, states },
      syncSeconds: (protectedAtMs - askedAtMs) / 1000,
      turns: stage.turns,
      disk: options.disk === false ? undefined : await diskOn(endsOn, stage),
      expected: scenario.expected(options),
      heard: stage.listener === undefined ? undefined : stage,
    });
  } finally {
    stage?.client.kill();
    await lab.down();
  }
}

function momentsOf({ askedAtMs, protectedAtMs }: Beginning, { turns }: Stage) {
  return {
    askedAtMs,
    protectedAtMs,
    killedAtMs: turns[0]?.atMs ?? protectedAtMs,
    resumedAtMs: turns.at(-1)?.overAtMs ?? protectedAtMs,
  };
}

/** A guest that is protected again is ended as an operator does it: nobody shall take it over. */
async function diskOn(host: HostName, stage: Stage): Promise<DiskFindings> {
  const status = await stage.status(host);
  if (status.role === 'primary') await stage.pair.agent(host).client.unprotect(DOMAIN, false);
  return auditDisk(stage.lab.host(host), status, stage.client, (text) => stage.say(text));
}
