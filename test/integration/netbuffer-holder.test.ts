/** The `holder` backend keeps the contract of the output hold; and the contract notices who does not. */
import { afterAll, describe, expect, it } from 'vitest';
import { holderBackend } from '../../src/netbuffer/holder.js';
import {
  committedEpoch,
  type HoldBackend,
  type OutputHold,
} from '../../src/netbuffer/output-hold.js';
import { Contract, casesOf } from './netbuffer-contract.js';

const contract = new Contract();
afterAll(() => contract.close());

describe('output hold: holder', () => {
  it.each(casesOf(holderBackend))('$name', (one) => contract.run(one, holderBackend));
});

/** The real backend with one promise broken. */
function broken(change: (hold: OutputHold) => Partial<OutputHold>): HoldBackend {
  return {
    ...holderBackend,
    holdOutput: async (options) => {
      const hold = await holderBackend.holdOutput(options);
      const changes = change(hold);
      return new Proxy(hold, {
        get: (target, name) => {
          const value = Reflect.get(changes, name) ?? Reflect.get(target, name);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
    },
  };
}

const passesEverything = broken((hold) => {
  hold.setPassing(true);
  return {};
});
const releasesOneMore = broken((hold) => ({
  release: async (committed) => {
    hold.closeEpoch(committed + 1);
    return hold.release(committedEpoch(committed + 1));
  },
}));
const neverTellsThatOutputWaits: HoldBackend = {
  ...holderBackend,
  holdOutput: (options) => holderBackend.holdOutput({ ...options, onWaiting: () => undefined }),
};

describe('the contract of the output hold', () => {
  it.each([
    ['who lets everything pass', passesEverything, /every kind of frame/],
    ['who lets everything pass', passesEverything, /at most the epochs/],
    ['who releases an epoch that is not committed', releasesOneMore, /at most the epochs/],
    ['who never says that output waits', neverTellsThatOutputWaits, /once per epoch/],
  ])('finds %s', async (_, backend, name) => {
    const one = casesOf(backend).find((candidate) => name.test(candidate.name));
    if (one === undefined) throw new Error(`no case ${name}`);
    await expect(contract.run(one, backend)).rejects.toThrow();
  });
});
