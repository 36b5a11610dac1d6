// The primary's process in output-commit-plug.mjs: the real epoch loop, policy, commits, channel and plug.
// Put where QEMU would be: a talker in a network namespace of its own, stopped by a signal at the pause;
// its state is the counter that it keeps in a file.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';

const { Commits } = await import('/understudy/dist/epoch/commits.js');
const { EpochLoop } = await import('/understudy/dist/epoch/loop.js');
const { policyOf } = await import('/understudy/dist/epoch/policy.js');
const { EpochRecords } = await import('/understudy/dist/epoch/records.js');
const { plugBackend } = await import('/understudy/dist/netbuffer/plug.js');
const { connectChannel } = await import('/understudy/dist/wire/channel.js');

const TERM = 1;
const RAM_BYTES = 4096;
/** A signal is delivered within a tick. */
const STOP_MS_MAX = 1_000;
const clock = new Int32Array(new SharedArrayBuffer(4));

process.on('message', (turn) => {
  protect(turn).catch((error) => {
    console.error(error);
    process.exit(1);
  });
});
process.on('disconnect', () => process.exit(0));
process.send('ready');

async function protect({ tap, bridge, talkerPid, counterPath, backup, lastEpoch, policy, fault }) {
  const channel = await connectChannel(backup);
  const commits = new Commits();
  let loop;
  const hold = await plugBackend.holdOutput({
    tap,
    bridge,
    epoch: lastEpoch + 1,
    onWaiting: (openEpoch) => loop?.outputWaits(openEpoch),
    onFilling: () => loop?.holdFills(),
    onTrouble: (trouble) => {
      throw new Error(`${trouble.kind}: ${trouble.reason}`);
    },
  });
  if (fault === 'hold-open') hold.setPassing(true);
  channel.receive({
    onFrame: ({ epoch }) => commits.acknowledge(epoch),
    onClosed: (error) => commits.fail(error ?? new Error('the backup hung up')),
  });
  const memory = { ramBytes: RAM_BYTES, pageBytes: RAM_BYTES, abandon: () => undefined };
  loop = new EpochLoop(
    {
      term: TERM,
      policy: policyOf(policy),
      stagingBytes: RAM_BYTES,
      lastEpoch,
      faults: new Set(fault === undefined ? [] : [fault]),
    },
    {
      memory: { ...memory, captureStopped: ({ epoch }) => capture(hold, counterPath, epoch) },
      pause: { mode: 'stopped', pauseAndCapture: (how) => pause(talkerPid, how) },
      // All of it is in the device state.
      shipper: {
        ship: () => Promise.resolve(),
        ahead: () => undefined,
        forget: () => undefined,
      },
      channel,
      commits,
      records: new EpochRecords(),
      newHasher: md5,
      checkDeviceState: () => undefined,
      stateDelta: () => undefined,
      // The hold's is called by `capture`; nobody waits for the other.
      boundaries: [],
      signal: () => undefined,
      disks: { proveEpoch: () => Promise.resolve([]) },
      guestLoad: () => 1,
      release: (epoch) => hold.release(epoch),
      addresses: () => hold.addresses(),
      onEpoch: ({ epoch }) => process.send({ epoch }),
      onPauseFailed: (error) => console.error(error),
    },
  );
  await loop.run();
}

/** The talker stands still while `how` runs. */
async function pause(pid, how) {
  process.kill(pid, 'SIGSTOP');
  try {
    // The signal is sent, not yet obeyed: proc(5) says when it stands still.
    const deadlineMs = performance.now() + STOP_MS_MAX;
    while (!stopped(pid)) {
      if (performance.now() > deadlineMs) throw new Error(`${pid} does not stop`);
      Atomics.wait(clock, 0, 0, 1);
    }
    const capture = await how({});
    return { capture, deviceState: capture.deviceState, settled: Promise.resolve() };
  } finally {
    process.kill(pid, 'SIGCONT');
  }
}

function stopped(pid) {
  return readFileSync(`/proc/${pid}/task/${pid}/stat`, 'latin1').includes(') T ');
}

async function capture(hold, counterPath, epoch) {
  hold.closeEpoch(epoch);
  const deviceState = readFileSync(counterPath);
  const us = { gateUs: 0, boundaryUs: 0, scanUs: 0, copyUs: 0, drainUs: 0, pauseUs: 0 };
  const pausedAtNs = process.hrtime.bigint();
  return { status: 'complete', epoch, pausedAtNs, ...us, dirtyPages: 1, stagedBytes: 8, deviceState };
}

function md5() {
  const hash = createHash('md5');
  return { update: (bytes) => hash.update(bytes), digest: () => hash.digest('hex') };
}
