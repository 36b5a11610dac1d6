/** The ports of the programs in the guest (native/guest). */

export const REDIS_PORT = 6379;
/** UDP, in the guest. */
export const MEMSTAMP_PORT = 7001;
/** UDP, at the client. */
export const BEACON_PORT = 7002;
/** UDP, in the guest. */
export const DISKSTAMP_PORT = 7003;
/** UDP, in the guest. */
export const DISKLOAD_PORT = 7004;
/** UDP, in the guest. */
export const TALKER_PORT = 7005;
/** UDP, in the guest. */
export const SPIN_PORT = 7010;
