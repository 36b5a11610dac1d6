// Runs in a kernel VM: what only the plug backend does, against the kernel's own sch_plug. A tap holder that
// passes everything stands in for QEMU (what is sent on `us7in` is the guest's output on its tap); the
// counter behind the bridge is the world.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const { native } = await import('/understudy/dist/native.js');
const { plugBackend } = await import('/understudy/dist/netbuffer/plug.js');
const { committedEpoch } = await import('/understudy/dist/netbuffer/output-hold.js');
const { chooseBackend, restoreTap } = await import('/understudy/dist/netbuffer/backends.js');

const bridge = 'us7br';
const tap = 'us7tap';
const ifb = 'usi-us7tap';
const mac = '52:54:00:77:00:02';
// Busybox has applets of these names that know less.
const tools = 'ip() { /usr/sbin/ip "$@"; }; tc() { /usr/sbin/tc "$@"; }; ';
const sh = (script) =>
  execFileSync('/bin/busybox', ['sh', '-ec', tools + script], { encoding: 'utf8' });
const nothing = () => undefined;

async function until(what, isTrue) {
  const deadlineMs = performance.now() + 10_000;
  while (!(await isTrue())) {
    if (performance.now() > deadlineMs) throw new Error(`never came true: ${what()}`);
    await delay(2);
  }
}

/** Frames of the guest, and of nobody else, that have come out at the far end. */
const outside = () => {
  const [filter] = JSON.parse(sh('tc -s -json filter show dev us7far ingress')).filter(
    ({ options }) => options?.actions !== undefined,
  );
  return filter?.options.actions[0].stats.packets ?? 0;
};
let seenBefore = 0;
/** Frames that have come out since the last call that reset it. */
const out = () => outside() - seenBefore;
const forget = () => {
  seenBefore = outside();
};

const listener = (troubles) => ({
  onWaiting: nothing,
  onFilling: nothing,
  onTrouble: (trouble) => troubles.push(trouble),
});

let qemu;
function plugIn() {
  qemu = native.net.openTapHolder({
    readTap: 'us7in',
    bridgeTap: tap,
    epoch: 1,
    limitPackets: 100_000,
    limitBytes: 64 * 1024 * 1024,
    ...listener([]),
  });
  qemu.setPassing(true);
  sh(`ip link set ${tap} master ${bridge} up`);
}
/** RARP, an ARP and a neighbour advertisement. */
async function send() {
  const { frames } = native.net.announce({
    ifname: 'us7in',
    mac,
    addresses: ['10.77.0.2', 'fd77::2'],
  });
  const { openEpoch } = qemu.stats();
  qemu.closeEpoch(openEpoch);
  await qemu.release(openEpoch);
  return frames;
}

const cases = {};
const hold = (troubles = [], limits = {}) =>
  plugBackend.holdOutput({ tap, bridge, epoch: 1, ...limits, ...listener(troubles) });
const held = (open, count) =>
  until(
    () => `${count} held, not ${open.stats().heldPackets}`,
    () => open.stats().heldPackets === count,
  );

cases['holds, releases, closes'] = async () => {
  const open = await hold();
  await send();
  await held(open, 3);
  assert.equal(out(), 0);
  open.closeEpoch(1);
  await send();
  await held(open, 6);
  assert.equal(await open.release(committedEpoch(1)), 3);
  await until(() => `3 out, not ${out()}`, () => out() === 3);
  await assert.rejects(open.release(committedEpoch(2)), { code: 'HOLD_EPOCH_OPEN' });
  assert.equal(open.stats().heldPackets, 3);
  await open.close({ release: true });
  await until(() => `6 out, not ${out()}`, () => out() === 6);
  assert.equal(sh(`tc qdisc show dev ${tap} clsact`), '');
  assert.equal(sh('ip link').includes(ifb), false);
};

cases['the probe leaves nothing behind'] = async () => {
  const before = sh('ip -o link | wc -l');
  assert.deepEqual(await plugBackend.probe(), { available: true, backend: 'plug' });
  assert.equal(sh('ip -o link | wc -l'), before);
};

const breaks = {
  'the plug deleted': `tc qdisc del dev ${ifb} root`,
  'the plug replaced': `tc qdisc replace dev ${ifb} root pfifo`,
  'the plug opened': `tc qdisc change dev ${ifb} root plug release_indefinite`,
  'the filter deleted': `tc filter del dev ${tap} ingress`,
  'the IFB deleted': `ip link del ${ifb}`,
  'the IFB set down': `ip link set ${ifb} down`,
  'the IFB down and up': `ip link set ${ifb} down; ip link set ${ifb} up`,
  'clsact deleted': `tc qdisc del dev ${tap} clsact`,
};
for (const [what, command] of Object.entries(breaks)) {
  cases[`put back: ${what}`] = async () => {
    const troubles = [];
    const open = await hold(troubles);
    await send();
    await held(open, 3);
    open.closeEpoch(1);
    const startMs = performance.now();
    sh(command);
    await until(() => `told: ${JSON.stringify(troubles)}`, () => troubles.length > 0);
    console.log(`  ${what}: ${(performance.now() - startMs).toFixed(1)} ms: ${JSON.stringify(troubles)}`);
    assert.equal(troubles[0].kind, 'unheld');
    forget();
    await send();
    await held(open, what.includes('filter') || what.includes('clsact') ? 6 : 3);
    assert.equal(out(), 0);
    open.closeEpoch(2);
    await open.release(committedEpoch(2));
    open.closeEpoch(3);
    await open.release(committedEpoch(3));
    await until(() => `out: ${out()}`, () => out() >= 3);
    await delay(50);
    assert.equal(troubles.length, 1, JSON.stringify(troubles));
    await open.close({ release: true });
    assert.equal(sh('ip link').includes(ifb), false);
    assert.equal(sh(`tc filter show dev ${tap} ingress`), '');
  };
}

const sleeper = (wanted) => `
  const { chooseBackend } = await import('/understudy/dist/netbuffer/backends.js');
  const nothing = () => undefined;
  const backend = await chooseBackend('${wanted}', { lease: false });
  globalThis.hold = await backend.holdOutput({ tap: '${tap}', bridge: '${bridge}', epoch: 1,
    onWaiting: nothing, onFilling: nothing, onTrouble: nothing });
  console.log('holding');
  setInterval(nothing, 1000);`;
async function holdInChild(wanted = 'plug') {
  const child = spawn(process.execPath, ['--input-type=module', '-e', sleeper(wanted)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return async () => {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };
}

cases['stays held after kill -9, is restored or taken over'] = async () => {
  let kill = await holdInChild();
  await assert.rejects(restoreTap({ tap, bridge }), { code: 'HOLD_STILL_HELD' });
  await assert.rejects(hold(), { code: 'HOLD_STILL_HELD' });
  await kill();
  await send();
  await delay(20);
  assert.equal(out(), 0);
  await restoreTap({ tap, bridge });
  await restoreTap({ tap, bridge });
  await send();
  await until(() => `3 out, not ${out()}`, () => out() === 3);
  assert.equal(sh('ip link').includes(ifb), false);
  kill = await holdInChild();
  await kill();
  await send();
  const open = await hold();
  await send();
  await held(open, 3);
  open.closeEpoch(1);
  assert.equal(await open.release(committedEpoch(1)), 3);
  await open.close({ release: false });
};

const portOf = () => /master (\S+)/.exec(sh(`ip -o link show ${tap}`))?.[1];
for (const [dead, next] of [
  ['holder', 'plug'],
  ['plug', 'holder'],
]) {
  cases[`a dead ${dead}'s tap goes to ${next} with nothing leaking`] = async () => {
    await (await holdInChild(dead))();
    await until(
      () => 'the holder is gone',
      () => !sh('ip link').includes('usr-'),
    );
    await send();
    const backend = await chooseBackend(next, { lease: false });
    const open = await backend.holdOutput({ tap, bridge, epoch: 1, ...listener([]) });
    const heldBefore = open.stats().heldPackets;
    await send();
    await held(open, heldBefore + 3);
    assert.equal(out(), 0);
    open.closeEpoch(1);
    await open.release(committedEpoch(1));
    await until(
      () => `3 out, not ${out()}`,
      () => out() === heldBefore + 3,
    );
    await open.close({ release: true });
    assert.equal(portOf(), bridge);
    assert.equal(sh(`tc filter show dev ${tap} ingress`), '');
    assert.equal(sh('ip link').includes(ifb), false);
  };
}

cases['is chosen where the kernel has it, but not on a lease'] = async () => {
  assert.equal((await chooseBackend('auto', { lease: false })).name, 'plug');
  assert.equal((await chooseBackend('auto', { lease: true })).name, 'holder');
  await assert.rejects(chooseBackend('plug', { lease: true }), { code: 'HOLD_NO_LEASE' });
};

cases['passes and holds again'] = async () => {
  const open = await hold();
  await send();
  await held(open, 3);
  open.setPassing(true);
  await until(() => `3 out, not ${out()}`, () => out() === 3);
  await send();
  await until(() => `6 out, not ${out()}`, () => out() === 6);
  open.setPassing(false);
  await send();
  await held(open, 3);
  assert.equal(open.dropAll(), 3);
  await send();
  await held(open, 3);
  open.closeEpoch(1);
  assert.equal(await open.release(committedEpoch(1)), 3);
  await until(() => `9 out, not ${out()}`, () => out() === 9);
  assert.equal(open.stats().droppedPackets, 3);
  await open.close({ release: false });
};

cases['merges a boundary'] = async () => {
  const open = await hold();
  await send();
  await held(open, 3);
  open.closeEpoch(1);
  await send();
  await held(open, 6);
  open.closeEpoch(2);
  await send();
  await held(open, 9);
  assert.equal(await open.release(committedEpoch(1)), 3);
  assert.equal(await open.release(committedEpoch(2)), 0);
  assert.equal(out(), 3);
  open.closeEpoch(3);
  assert.equal(await open.release(committedEpoch(3)), 6);
  await until(() => `9 out, not ${out()}`, () => out() === 9);
  await open.close({ release: false });
};

cases['the tap goes'] = async () => {
  const troubles = [];
  const open = await hold(troubles);
  await send();
  await qemu.close();
  await until(() => 'told', () => troubles.length > 0);
  assert.equal(troubles[0].kind, 'tap-failed');
  open.closeEpoch(1);
  await open.release(committedEpoch(1));
  await open.close({ release: true });
  assert.equal(sh('ip link').includes(ifb), false);
  plugIn();
  prepare();
};

function prepare() {
  sh('ip link set us7in addrgenmode none; ip link set us7in up');
}

sh(`
  echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6
  ip link add ${bridge} type bridge stp_state 0
  ip link set ${bridge} up
  ip link add us7cl type veth peer name us7far
  ip link set us7cl master ${bridge} up
  ip link set us7far up
  tc qdisc add dev us7far clsact
  tc filter add dev us7far ingress protocol all pref 1 u32 match u16 0x${mac.slice(6, 8)}${mac.slice(9, 11)} 0xffff at -6 match u32 0x${mac.slice(0, 2)}${mac.slice(3, 5)}0000 0xffff0000 at -8 action mirred egress redirect dev lo`);
plugIn();
prepare();
let failed = 0;
const only = process.argv[2];
for (const [name, run] of Object.entries(cases)) {
  if (only !== undefined && !name.includes(only)) continue;
  forget();
  try {
    await run();
    console.log(`ok ${name}`);
  } catch (failure) {
    failed += 1;
    console.log(`not ok ${name}: ${failure.stack}`);
    try {
      await restoreTap({ tap, bridge });
    } catch (left) {
      console.log(`  left: ${left.message}`);
    }
  }
}
process.exit(failed === 0 ? 0 : 1);
