/** What can go wrong between two hosts' processes. Each costs at most that connection. */
import { errorsOf } from '../errors.js';

export const wireErrors = {
  WIRE_BAD_MAGIC: {
    meaning: 'The peer sent bytes that are not an understudy frame.',
    remedy: 'Check that the address and port belong to an understudy agent or session.',
  },
  WIRE_BAD_FRAME: {
    meaning: 'A frame has an unknown type, a reserved field that is set, or an impossible epoch.',
    remedy: 'Install the same understudy version on both hosts; if it repeats, check the network.',
  },
  WIRE_TOO_LARGE: {
    meaning: 'A frame announced more bytes than its type may carry.',
    remedy: 'Install the same understudy version on both hosts; if it repeats, check the network.',
  },
  WIRE_BAD_MESSAGE: {
    meaning: 'A message does not have the documented shape.',
    remedy: 'Install the same understudy version on both hosts.',
  },
  WIRE_UNEXPECTED: {
    meaning: 'A well-formed frame came at a point of the protocol where it has no meaning.',
    remedy: 'Install the same understudy version on both hosts and report this with the log.',
  },
  WIRE_DIGEST_MISMATCH: {
    meaning: 'A checkpoint arrived with another digest than it was sent with; it was thrown away.',
    remedy: 'Check the network and the memory of both hosts; the connection is set up anew.',
  },
  WIRE_STALE_TERM: {
    meaning: 'A message carried an older term than this host has already acted on.',
    remedy: 'Another host took over; let this host return as backup.',
  },
  WIRE_CLOSED: {
    meaning: 'The connection ended.',
    remedy: 'Check that the other host and its agent are up and reachable.',
  },
  WIRE_TIMED_OUT: {
    meaning: 'The peer did not answer within the bound.',
    remedy: 'Check that the other host and its agent are up and reachable.',
  },
  WIRE_UNREACHABLE: {
    meaning: 'No connection to the other host could be made.',
    remedy: 'Check the address, that understudyd runs there, and the firewall.',
  },
  WIRE_NOT_TLS: {
    meaning:
      'The other end of a connection does not speak TLS; hosts speak nothing else with each other.',
    remedy:
      'Check that the address and port belong to an understudy agent, and that both hosts run the same version.',
  },
  WIRE_HANDSHAKE_FAILED: {
    meaning: 'The TLS handshake with the other host was broken off or took too long.',
    remedy: 'Check the network between the hosts; the other host’s log has its side of it.',
  },
  WIRE_NO_CERTIFICATE: {
    meaning: 'The other end shows no certificate, so nothing says who it is.',
    remedy: 'Only hosts of the cluster may connect: add it with `understudy host add`.',
  },
  WIRE_FOREIGN_CA: {
    meaning: 'The other end’s certificate was not issued by this cluster’s CA.',
    remedy:
      'Both hosts need certificates of the same CA: run `understudy host add` on the host that has the CA.',
  },
  WIRE_CERTIFICATE_EXPIRED: {
    meaning: 'The other end’s certificate is not valid any more, or not yet.',
    remedy:
      'Compare the clocks of both hosts; renew the certificate with `understudy host add` on the host that has the CA.',
  },
  WIRE_UNKNOWN_HOST: {
    meaning:
      'The other end has a certificate of this cluster’s CA, but of a host that is not the one called or not in hosts.yaml.',
    remedy:
      'Compare `understudy host list` on both hosts; a host that was removed must be added again.',
  },
  WIRE_BAD_TOKEN: {
    meaning:
      'A connection to a session does not carry a token that its agent gave out, or one that was used already.',
    remedy: 'The primary asks for a new one by itself. If it repeats, see who else connects.',
  },
  WIRE_VERSION: {
    meaning: 'The two sides have no protocol version in common.',
    remedy: 'Upgrade understudy on the older host.',
  },
} as const;

export const wireError = errorsOf(wireErrors);
