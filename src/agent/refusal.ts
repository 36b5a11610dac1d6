/** How a host says no to a peer: the reason travels as code, message and remedy. */
import type { FrameChannel } from '../wire/channel.js';
import { reasonOf } from './status.js';

/** Sends the refusal and hangs up once it is out. */
export async function refuse(channel: FrameChannel, error: unknown, term: number): Promise<void> {
  const { code, message, remedy } = reasonOf(error);
  await channel.sendMessage('refuse', 'refuse', { code, message, remedy }, { term });
  channel.end();
}
