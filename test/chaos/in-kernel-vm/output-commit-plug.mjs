// Runs in a kernel VM: output commit with the kernel's own plug, through kills of the primary's process.
//
// Two hosts and the outside, each a network namespace; on the host whose turn it is a talker (native/guest)
// stands for the guest, behind a tap of the bridge, and plug-primary.mjs protects it. This process is the
// backup: it commits the counter that a checkpoint carries. After a kill the old talker talks on behind
// the orphaned plug, and a new one goes on from the committed counter on the other host.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

const { Listener } = await import('/understudy/dist/lab/listener.js');
const { FrameChannel } = await import('/understudy/dist/wire/channel.js');
const { decodeMessage } = await import('/understudy/dist/wire/messages.js');

const KILLS = 25;
/** Of each fault; it strikes only when output waits between its release and its commit. */
const KILLS_UNTIL_CAUGHT_MAX = 5;
const KILL_WITHIN_MS = 200;
const HEARD_EACH_MIN = 3;
const WAIT_MS_MAX = 60_000;
const TERM = 1;
const POLICIES = [
  { name: 'fixed', intervalMs: 25 },
  { name: 'fixed', intervalMs: 50 },
  { name: 'adaptive', minIntervalMs: 5, maxIntervalMs: 200, pauseBudget: 1 },
];
const OUTSIDE = { ip: '10.86.0.254', ip6: 'fd86::fe', mac: '52:54:01:00:00:fe' };

// Busybox has an applet of this name that knows less.
const ip = (args) => execFileSync('/usr/sbin/ip', args.split(' '), { encoding: 'utf8' });
const inSpace = (space, file, args, options) =>
  spawn('/usr/sbin/ip', ['netns', 'exec', space, file, ...args], options);

async function until(what, isTrue) {
  const deadlineMs = performance.now() + WAIT_MS_MAX;
  while (!(await isTrue())) {
    if (performance.now() > deadlineMs) throw new Error(`never came true: ${what()}`);
    await delay(5);
  }
}

function makeNetwork() {
  ip('link add lan type bridge stp_state 0 forward_delay 0 mcast_snooping 0');
  ip(`link set lan address ${OUTSIDE.mac} up`);
  ip(`addr add ${OUTSIDE.ip}/16 brd + dev lan`);
  ip(`addr add ${OUTSIDE.ip6}/64 dev lan nodad`);
  for (const [number, host] of ['a', 'b'].entries()) {
    ip(`netns add ${host}`);
    ip(`link add to-${host} type veth peer name lan netns ${host}`);
    ip(`link set to-${host} master lan up`);
    ip(`-n ${host} link set lo up`);
    ip(`-n ${host} link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0`);
    ip(`-n ${host} link set lan master br0 up`);
    ip(`-n ${host} link set br0 up`);
    ip(`-n ${host} addr add 10.86.0.${number + 1}/16 dev br0`);
  }
}

/** The backup: takes checkpoints of one primary after the other. */
class Backup {
  committed = { epoch: 0, counter: 0n };
  #channel;
  #stalled = false;
  #closed = Promise.resolve();

  static async listen() {
    const backup = new Backup();
    const server = createServer((socket) => backup.#accept(socket));
    server.listen(0, OUTSIDE.ip);
    await once(server, 'listening');
    backup.port = server.address().port;
    return backup;
  }

  /** Checkpoints that have not come by now never come: the link is dead and nobody knows yet. */
  stall() {
    this.#stalled = true;
  }

  /** The primary is dead, and all that came of it is committed or thrown away. */
  async end() {
    if (this.#stalled) this.#channel.destroy();
    await this.#closed;
    this.#stalled = false;
  }

  #accept(socket) {
    const channel = new FrameChannel(socket);
    let deviceState;
    this.#channel = channel;
    this.#closed = new Promise((resolve) => {
      channel.receive({
        onFrame: (frame) => {
          if (this.#stalled) return new Promise(() => undefined);
          if (frame.type === 'deviceState') deviceState = frame;
          else this.#commit(channel, frame, deviceState);
        },
        onClosed: resolve,
      });
      // A frame that is never done keeps the end of its connection waiting.
      socket.on('close', resolve);
    });
  }

  #commit(channel, { type, epoch, payload }, deviceState) {
    assert.equal(type, 'checkpoint');
    assert.equal(deviceState.epoch, epoch);
    const { digest } = decodeMessage('checkpoint', payload);
    assert.equal(digest, createHash('md5').update(deviceState.payload).digest('hex'));
    this.committed = { epoch, counter: deviceState.payload.readBigUInt64LE() };
    channel.send({ type: 'committed', epoch, term: TERM }, Buffer.alloc(8)).catch(() => undefined);
  }
}

/** A talker with a network of its own, behind a tap of a host's bridge. */
class Guest {
  constructor(number, host, counter) {
    this.host = host;
    this.space = `g${number}`;
    this.tap = `vnet${number}`;
    this.counterPath = `/tmp/counter${number}`;
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(counter);
    writeFileSync(this.counterPath, bytes);
    ip(`netns add ${this.space}`);
    ip(`-n ${host} link add ${this.tap} type veth peer name eth0 netns ${this.space}`);
    ip(`-n ${host} link set ${this.tap} master br0 up`);
    const inside = (args) => ip(`-n ${this.space} ${args}`);
    inside('link set eth0 address 52:54:00:86:00:01 up');
    inside('addr add 10.86.1.1/16 brd + dev eth0');
    inside('addr add fd86::1:1/64 dev eth0 nodad');
    // Never sent late: an address that is not known yet would hold packets back beyond a pause.
    inside(`neigh replace ${OUTSIDE.ip} lladdr ${OUTSIDE.mac} dev eth0 nud permanent`);
    inside(`neigh replace ${OUTSIDE.ip6} lladdr ${OUTSIDE.mac} dev eth0 nud permanent`);
    const args = ['--to', OUTSIDE.ip, '--to6', OUTSIDE.ip6, '--counter', this.counterPath];
    const pace = ['--hz', '500', '--burst', '2', '--burst-ms', '200'];
    this.talker = inSpace(this.space, '/understudy/talker', [...args, ...pace], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  }

  async end() {
    const ended = once(this.talker, 'exit');
    this.talker.kill('SIGKILL');
    await ended;
    // Held packets keep their senders' network alive: the orphaned plug goes first, and what it holds.
    if (ip(`-n ${this.host} link`).includes(`usi-${this.tap}:`)) {
      ip(`-n ${this.host} link del usi-${this.tap}`);
    }
    ip(`-n ${this.host} link del ${this.tap}`);
    ip(`netns del ${this.space}`);
  }
}

async function startPrimary(host) {
  const primary = inSpace(host, 'node', ['/understudy/plug-primary.mjs'], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  await once(primary, 'message');
  return primary;
}

async function heardOfEachKind(listener, host, since = {}) {
  let rare = [];
  await until(
    () => `every kind is heard of host ${host}: ${rare}`,
    async () => {
      await listener.settle();
      const heard = Object.entries(listener.log.outside(host));
      rare = heard.filter(([kind, count]) => count < (since[kind] ?? 0) + HEARD_EACH_MIN);
      return rare.length === 0;
    },
  );
}

makeNetwork();
const backup = await Backup.listen();
const sources = ['a', 'b'].flatMap((host) => [
  ...['--outside', `${host}=to-${host}`],
  ...['--inside', `${host}=/run/netns/${host}`],
]);
const listener = await Listener.of(
  spawn('/understudy/listener', sources, { stdio: ['pipe', 'pipe', 'inherit'] }),
);
let number = 1;
let guest = new Guest(number, 'a', 0n);
let next = startPrimary('a');
await heardOfEachKind(listener, 'a');

/** One protection and its end; resolves with the listener's verdict. */
async function turn(how, fault) {
  const { host: from } = guest;
  const to = from === 'a' ? 'b' : 'a';
  const beganMs = performance.now();
  const policy = POLICIES[number % POLICIES.length];
  listener.log.expectTakeover(to);
  const primary = await next;
  const ended = once(primary, 'exit');
  const lastEpoch = backup.committed.epoch;
  primary.send({
    ...{ tap: guest.tap, bridge: 'br0', talkerPid: guest.talker.pid, policy, fault, lastEpoch },
    ...{ counterPath: guest.counterPath, backup: { host: OUTSIDE.ip, port: backup.port } },
  });
  // Node takes a second to start here: the next turn's is ready when this one ends.
  next = startPrimary(to);
  const [first] = await Promise.race([once(primary, 'message'), ended]);
  assert.ok(first?.epoch > lastEpoch, `the primary ended at its start: ${first}`);
  await heardOfEachKind(listener, from, listener.log.outside(from));
  await next;
  await delay(Math.random() * KILL_WITHIN_MS);
  if (how === 'uncommitted') {
    backup.stall();
    await delay(KILL_WITHIN_MS);
  }
  primary.kill('SIGKILL');
  await ended;
  assert.equal(primary.signalCode, 'SIGKILL', 'the primary ended by itself; see above');
  await backup.end();
  const old = guest;
  number += 1;
  guest = new Guest(number, to, backup.committed.counter);
  await heardOfEachKind(listener, to);
  const verdict = listener.log.verdict(to);
  await old.end();
  const epochs = backup.committed.epoch - lastEpoch;
  const seconds = ((performance.now() - beganMs) / 1000).toFixed(1);
  console.log(
    `${seconds} s: ${how} of host ${from}${fault === undefined ? '' : ` with ${fault}`}, ${policy.name}: ` +
      `${epochs} epochs; outside up to ${verdict.highestOutside} (${verdict.highestKind}), ` +
      `resumed at ${verdict.resumedAt}, guest had said ${verdict.highestInside}; ` +
      `${verdict.heldBack} never heard, ${verdict.forgotten} forgotten`,
  );
  return verdict;
}

let heldBack = 0;
for (let kill = 0; kill < KILLS; kill += 1) {
  const verdict = await turn(kill % 3 === 2 ? 'uncommitted' : 'kill');
  assert.equal(verdict.forgotten, 0);
  assert.equal(verdict.spokeAfter, 0);
  heldBack += verdict.heldBack;
}
const { damaged, dropped } = await listener.settle();
assert.deepEqual({ damaged, dropped, repeated: listener.log.repeated }, { damaged: 0, dropped: 0, repeated: 0 });
assert.ok(heldBack > KILLS, 'nothing was held at the kills: nothing is proven');
for (const fault of ['hold-open', 'release-early']) {
  let caught = false;
  for (let kill = 0; kill < KILLS_UNTIL_CAUGHT_MAX && !caught; kill += 1) {
    caught = (await turn('uncommitted', fault)).forgotten > 0;
  }
  assert.ok(caught, `${fault} was not noticed`);
}
console.log(`${KILLS} kills: nothing was heard that was forgotten; ${heldBack} packets were never heard`);
process.exit(0);
