/** What latency and overhead are measured on: a laboratory of its own with both agents and a measuring client. */
import { HostPair } from '../../src/lab/host-pair.js';
import { Lab } from '../../src/lab/lab.js';
import { MeasuringClient } from './client.js';

const PREFIX = 'usbench';

export interface Stage {
  pair: HostPair;
  client: MeasuringClient;
}

/** Nothing of it is left when this settles. */
export async function onStage<T>(measure: (stage: Stage) => Promise<T>): Promise<T> {
  const lab = await Lab.up({ prefix: process.env.UNDERSTUDY_LAB_PREFIX ?? PREFIX });
  try {
    const client = await MeasuringClient.build(lab);
    try {
      return await measure({ pair: await HostPair.start(lab), client });
    } finally {
      await client.remove();
    }
  } finally {
    await lab.down();
  }
}
