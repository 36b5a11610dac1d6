/** The host in `host:port`, as a socket or a request names it; an IPv4 address that IPv6 carries stands for itself. */
export function hostOfPeer(peer: string): string {
  return peer.slice(0, peer.lastIndexOf(':')).replace(/^::ffff:/, '');
}
