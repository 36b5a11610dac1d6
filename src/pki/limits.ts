/** How long certificates hold. Nothing renews them by itself, so an outage must not come as a surprise. */

/** The CA's key never leaves its host; to replace it means to visit every host. */
export const CA_VALID_DAYS = 3_650;
export const HOST_VALID_DAYS = 1_095;
/** From then on the agent warns once a day. */
export const EXPIRY_WARNING_DAYS = 60;
/** Certificates hold from a little earlier on: clocks of two hosts are never quite the same. */
export const CLOCK_SLACK_MS = 5 * 60_000;
/** Positive, and unique without a record of what was issued (RFC 5280 allows 20). */
export const SERIAL_BYTES = 16;
