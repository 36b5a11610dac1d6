/** How a host says no to a peer, and how that is heard: the reason travels as code, message and remedy. */
import { UnderstudyError } from '../../errors.js';
import type { FrameChannel } from '../../wire/channel.js';
import type { Frame } from '../../wire/frames.js';
import { decodeMessage } from '../../wire/messages.js';
import type { Reason } from '../status.js';

/** Sends the refusal and hangs up once it is out. */
export async function refuse(channel: FrameChannel, reason: Reason, term: number): Promise<void> {
  await channel.sendMessage('refuse', 'refuse', reason, { term });
  channel.end();
}

/** What a `refuse` frame says, as the error that its sender met; `who` begins the sentence. */
export function refusalOf(frame: Frame, who: string): UnderstudyError {
  const { code, message, remedy } = decodeMessage('refuse', frame.payload);
  return new UnderstudyError(code, `${who}: ${message}`, remedy);
}
