/** Limits of what may stand in the files under /etc/understudy. */

/** A configuration of a few lines; hosts.yaml of a large cluster is some 10 KB. */
export const CONFIG_FILE_BYTES_MAX = 1024 * 1024;
/** As many as there are heartbeat paths. */
export const HOST_ADDRESSES_MAX = 8;
export const HOSTS_MAX = 256;
/** One label of a DNS name (RFC 1035), so that it can stand in a certificate. */
export const HOST_NAME_PATTERN = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
