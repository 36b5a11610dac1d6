/** The death of the process that holds: nothing passes until somebody takes over or gives the tap back. */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import type { HoldBackend } from '../../src/netbuffer/output-hold.js';
import { readLink } from '../../src/netbuffer/tap-state.js';
import type { HoldCase } from './netbuffer-contract.js';
import { bridge, guest, sh, until } from './netbuffer-net.js';
import { releaseAll } from './netbuffer-stage.js';

const { tap } = guest;

interface HoldingProcess {
  kill(): Promise<void>;
}

/** A process that holds the tap from epoch 1 on, from the built product. */
async function holdingProcess({ name }: HoldBackend): Promise<HoldingProcess> {
  const built = new URL(`../../dist/netbuffer/${name}.js`, import.meta.url).href;
  const script = `
    const { ${name}Backend } = await import(${JSON.stringify(built)});
    const nothing = () => undefined;
    globalThis.hold = await ${name}Backend.holdOutput({ tap: '${tap}', bridge: '${bridge}',
      epoch: 1, onWaiting: nothing, onFilling: nothing, onTrouble: nothing });
    console.log('holding');
    setInterval(nothing, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await Promise.race([
    once(child.stdout, 'data'),
    once(child, 'exit').then(() => Promise.reject(new Error('the holding process ended'))),
  ]);
  return { kill: () => killed(child) };
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

/** Also when the case fails, the process ends. */
async function withHoldingProcess(
  backend: HoldBackend,
  use: (holding: HoldingProcess) => Promise<void>,
): Promise<void> {
  const holding = await holdingProcess(backend);
  try {
    await use(holding);
  } finally {
    await holding.kill();
  }
}

/** The kernel removes a dead process's interfaces in the background: only then does nobody hold. */
const restored = (backend: HoldBackend) =>
  until('nobody holds', () =>
    backend.restoreTap({ tap, bridge }).then(
      () => true,
      (failure: { code?: string }) => {
        if (failure.code === 'HOLD_STILL_HELD') return false;
        throw failure;
      },
    ),
  );

export const crashCases: readonly HoldCase[] = [
  {
    name: 'leaks nothing after kill -9, and gives the tap back when asked',
    run: async (scene) => {
      const { backend } = scene;
      const before = await scene.network.guest.carrierChanges();
      await withHoldingProcess(backend, async (holding) => {
        await scene.burst(1, 10);
        await assert.rejects(backend.restoreTap({ tap, bridge }), { code: 'HOLD_STILL_HELD' });
        await assert.rejects(scene.begin(), { code: 'HOLD_STILL_HELD' });
        await holding.kill();
        await scene.burst(11, 20);
        assert.deepEqual(await scene.seen(), []);
      });
      await restored(backend);
      await backend.restoreTap({ tap, bridge });
      await scene.burst(31, 40);
      await scene.untilSeen(31, 40);
      assert.equal(await scene.network.guest.carrierChanges(), before);
      assert.equal(await sh(`tc filter show dev ${tap} ingress`), '');
    },
  },
  {
    name: 'is taken over by a second hold, with nothing leaking in between',
    run: async (scene) => {
      await scene.stream(1);
      await until('the guest is heard', async () => (await scene.seen()).length > 0);
      let before: number[] = [];
      await withHoldingProcess(scene.backend, async (holding) => {
        before = await scene.seen();
        await holding.kill();
      });
      let taken: Awaited<ReturnType<typeof scene.begin>> | undefined;
      await until('nobody else holds', () =>
        scene.begin().then(
          (now) => {
            taken = now;
            return true;
          },
          (failure: { code?: string }) => {
            if (failure.code === 'HOLD_STILL_HELD') return false;
            throw failure;
          },
        ),
      );
      assert.ok(taken);
      const { hold } = taken;
      await until('packets are held', () => hold.stats().heldPackets > 10);
      const sent = await scene.stage.guestWire.stop();
      assert.deepEqual(await scene.seen(), before);
      assert.ok((await releaseAll(hold, 1)) > 10);
      await until('the last is seen', async () => (await scene.seen()).at(-1) === sent);
      await scene.end(hold, true);
      assert.equal(await sh(`tc filter show dev ${tap} ingress`), '');
    },
  },
  {
    name: 'gives back port settings and alias, also after a crash',
    run: async (scene) => {
      await sh(`
        ip link set ${tap} alias 'rack 7, port 3'
        ip link set ${tap} type bridge_slave isolated on learning off mcast_router 2`);
      const before = await readLink(tap);
      await withHoldingProcess(scene.backend, (holding) => holding.kill());
      await restored(scene.backend);
      assert.deepEqual(await readLink(tap), before);
      const { hold } = await scene.begin();
      await scene.end(hold);
      assert.deepEqual(await readLink(tap), before);
      await sh(`
        ip link set ${tap} alias ''
        ip link set ${tap} type bridge_slave isolated off learning on mcast_router 1`);
    },
  },
];
