// The proof of output commit: stamps one growing counter into every kind of packet that it sends.
//
// The counter is plain memory, so it is part of every checkpoint, and it grows before a packet is
// handed to the kernel. After a takeover no packet may ever have been seen outside whose counter is
// not below the first one that the resumed guest sends.
//
//   talker --to ADDRESS --to6 ADDRESS [--interface eth0] [--hz N] [--burst N] [--burst-ms MS] [--port P]
//          [--counter FILE]
//
// With FILE the counter lies in its first eight bytes instead, and goes on from there.
// Sends N packets a second, one kind after the other, and every MS milliseconds --burst rounds of all
// kinds at once with one TCP write large enough for segmentation offload. Any UDP datagram to the
// port is answered with "COUNTER BOOT CONNECTIONS".

#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

#include "talk.h"
#include "udp.h"

enum {
  // Where the listener takes the stream and datagrams (and nobody the datagrams).
  CLIENT_PORT = 7006,
  FRAME_BYTES_MIN = 60,
  FRAME_BYTES_MAX = 128,
  // Room for a segment of many frames, each of which must show a stamp.
  RECORD_BYTES = 64,
  LARGE_WRITE_RECORDS = 512,
  RECONNECT_S = 1,
  // RFC 4861, 4.3 and 4.6; the type is for experiments, RFC 4727.
  ND_HOP_LIMIT = 255,
  ND_OPTION = 253,
  ND_OPTION_BYTES = 48,
};

static const uint8_t EVERYBODY[ETH_ALEN] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
// IEEE 802.1D: where bridges send their spanning-tree frames.
static const uint8_t BRIDGES[ETH_ALEN] = {0x01, 0x80, 0xc2, 0, 0, 0};

static _Atomic uint64_t own_counter;
static _Atomic uint64_t* counter = &own_counter;
static _Atomic uint64_t connections;
static uint64_t boot;

static struct {
  int index;
  uint8_t mac[ETH_ALEN];
  struct in_addr address;
  struct in_addr broadcast;
  struct sockaddr_in client;
  struct sockaddr_in6 client6;
} net;

static struct {
  int udp4;
  int udp6;
  int icmp;
  int icmp6;
  int packet;
  int tcp;
} fds;

static int Open(int family, int type, int protocol, const char* what) {
  const int fd = socket(family, type | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol);
  if (fd < 0) Fail(what);
  return fd;
}

static void Set(int fd, int level, int option, const void* value, socklen_t bytes, const char* what) {
  if (setsockopt(fd, level, option, value, bytes) != 0) Fail(what);
}

static struct ifreq Ask(const char* interface, unsigned long what) {
  struct ifreq request;
  memset(&request, 0, sizeof request);
  strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
  if (ioctl(fds.udp4, what, &request) != 0) Fail("talker: the interface");
  return request;
}

static struct in_addr AddressOf(const struct ifreq* request) {
  struct sockaddr_in address;
  memcpy(&address, &request->ifr_addr, sizeof address);
  return address.sin_addr;
}

static void LearnNetwork(const char* interface, const char* to, const char* to6) {
  net.index = Ask(interface, SIOCGIFINDEX).ifr_ifindex;
  const struct ifreq mac = Ask(interface, SIOCGIFHWADDR);
  memcpy(net.mac, mac.ifr_hwaddr.sa_data, ETH_ALEN);
  const struct ifreq address = Ask(interface, SIOCGIFADDR);
  net.address = AddressOf(&address);
  const struct ifreq broadcast = Ask(interface, SIOCGIFBRDADDR);
  net.broadcast = AddressOf(&broadcast);
  net.client = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(CLIENT_PORT)};
  net.client6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(CLIENT_PORT)};
  if (!to || inet_pton(AF_INET, to, &net.client.sin_addr) != 1 || !to6 ||
      inet_pton(AF_INET6, to6, &net.client6.sin6_addr) != 1) {
    fprintf(stderr, "talker: wants --to IPV4 --to6 IPV6\n");
    exit(2);
  }
}

static void OpenSockets(void) {
  const int on = 1;
  const struct ip_mreqn way = {.imr_ifindex = net.index};
  const int hops = ND_HOP_LIMIT;
  Set(fds.udp4, SOL_SOCKET, SO_BROADCAST, &on, sizeof on, "talker: SO_BROADCAST");
  Set(fds.udp4, IPPROTO_IP, IP_MULTICAST_IF, &way, sizeof way, "talker: IP_MULTICAST_IF");
  fds.udp6 = Open(AF_INET6, SOCK_DGRAM, 0, "talker: udp6");
  fds.icmp = Open(AF_INET, SOCK_RAW, IPPROTO_ICMP, "talker: icmp");
  fds.icmp6 = Open(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6, "talker: icmp6");
  Set(fds.icmp6, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, &hops, sizeof hops, "talker: IPV6_MULTICAST_HOPS");
  Set(fds.icmp6, IPPROTO_IPV6, IPV6_MULTICAST_IF, &net.index, sizeof net.index, "talker: IPV6_MULTICAST_IF");
  // Protocol 0: it only sends.
  fds.packet = Open(AF_PACKET, SOCK_RAW, 0, "talker: packet");
  fds.tcp = -1;
}

static uint16_t InternetChecksum(const void* data, size_t bytes) {
  const uint16_t* words = data;
  uint32_t sum = 0;
  for (size_t i = 0; i < bytes / 2; i++) sum += words[i];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return (uint16_t)~sum;
}

static ssize_t SendIcmp(const Stamp* stamp) {
  struct {
    struct icmphdr header;
    Stamp stamp;
  } echo = {{.type = ICMP_ECHO}, *stamp};
  echo.header.checksum = InternetChecksum(&echo, sizeof echo);
  return sendto(fds.icmp, &echo, sizeof echo, 0, (const struct sockaddr*)&net.client, sizeof net.client);
}

// A neighbour solicitation for the client, with the stamp in an option of its own.
static ssize_t SendNeighbour(const Stamp* stamp) {
  struct {
    struct nd_neighbor_solicit header;
    uint8_t option[ND_OPTION_BYTES];
  } solicit = {{.nd_ns_type = ND_NEIGHBOR_SOLICIT, .nd_ns_target = net.client6.sin6_addr}, {0}};
  solicit.option[0] = ND_OPTION;
  solicit.option[1] = ND_OPTION_BYTES / 8;
  memcpy(solicit.option + 8, stamp, STAMP_BYTES);
  // RFC 4291, 2.7.1: the solicited-node address.
  struct sockaddr_in6 to = {.sin6_family = AF_INET6, .sin6_scope_id = (uint32_t)net.index};
  inet_pton(AF_INET6, "ff02::1:ff00:0", &to.sin6_addr);
  memcpy(to.sin6_addr.s6_addr + 13, net.client6.sin6_addr.s6_addr + 13, 3);
  return sendto(fds.icmp6, &solicit, sizeof solicit, 0, (const struct sockaddr*)&to, sizeof to);
}

// A frame with the stamp behind `head`, which begins after the two addresses.
static ssize_t SendFrame(const uint8_t* to, const void* head, size_t head_bytes, const Stamp* stamp) {
  uint8_t frame[FRAME_BYTES_MAX] = {0};
  memcpy(frame, to, ETH_ALEN);
  memcpy(frame + ETH_ALEN, net.mac, ETH_ALEN);
  memcpy(frame + 2 * ETH_ALEN, head, head_bytes);
  memcpy(frame + 2 * ETH_ALEN + head_bytes, stamp, STAMP_BYTES);
  size_t bytes = 2 * ETH_ALEN + head_bytes + STAMP_BYTES;
  if (bytes < FRAME_BYTES_MIN) bytes = FRAME_BYTES_MIN;
  const struct sockaddr_ll way = {.sll_family = AF_PACKET, .sll_ifindex = net.index, .sll_halen = ETH_ALEN};
  return sendto(fds.packet, frame, bytes, 0, (const struct sockaddr*)&way, sizeof way);
}

static ssize_t SendArp(const Stamp* stamp) {
  // Ethernet and IPv4, request: who has the client's address?
  uint8_t head[30] = {0x08, 0x06, 0, 1, 0x08, 0, ETH_ALEN, 4, 0, 1};
  memcpy(head + 10, net.mac, ETH_ALEN);
  memcpy(head + 16, &net.address, 4);
  memcpy(head + 26, &net.client.sin_addr, 4);
  return SendFrame(EVERYBODY, head, sizeof head, stamp);
}

static ssize_t SendUdp4(struct in_addr to, const Stamp* stamp) {
  struct sockaddr_in address = net.client;
  address.sin_addr = to;
  return sendto(fds.udp4, stamp, STAMP_BYTES, 0, (const struct sockaddr*)&address, sizeof address);
}

// Never waits: while the output is held for long the stream stands still and the other kinds go on.
static void Connect(void) {
  static time_t tried_s;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  if (tried_s != 0 && now.tv_sec < tried_s + RECONNECT_S) return;
  tried_s = now.tv_sec;
  if (fds.tcp >= 0) {
    perror("talker: the stream");
    close(fds.tcp);
  }
  fds.tcp = Open(AF_INET, SOCK_STREAM, 0, "talker: tcp");
  const int on = 1;
  Set(fds.tcp, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on, "talker: TCP_NODELAY");
  if (connect(fds.tcp, (const struct sockaddr*)&net.client, sizeof net.client) != 0 && errno != EINPROGRESS) return;
  atomic_fetch_add(&connections, 1);
}

static ssize_t SendTcp(const Stamp* stamp, size_t records) {
  static uint8_t data[LARGE_WRITE_RECORDS * RECORD_BYTES];
  for (size_t i = 0; i < records; i++) memcpy(data + i * RECORD_BYTES, stamp, STAMP_BYTES);
  const ssize_t sent = fds.tcp < 0 ? -1 : send(fds.tcp, data, records * RECORD_BYTES, MSG_NOSIGNAL);
  // EAGAIN also while it connects.
  if (fds.tcp < 0 || (sent < 0 && errno != EAGAIN)) Connect();
  return 0;
}

static ssize_t Send(Kind kind, const Stamp* stamp, size_t tcp_records) {
  static const uint8_t unknown[] = {UNKNOWN_ETHERTYPE >> 8, UNKNOWN_ETHERTYPE & 0xff};
  static const uint8_t tagged[] = {0x81, 0, 0, VLAN_ID, TAGGED_ETHERTYPE >> 8, TAGGED_ETHERTYPE & 0xff};
  // Length, then as spanning tree has it: DSAP, SSAP, unnumbered information.
  static const uint8_t llc[] = {0, 3 + STAMP_BYTES, 0x42, 0x42, 0x03};
  switch (kind) {
    case UDP4: return SendUdp4(net.client.sin_addr, stamp);
    case BROADCAST4: return SendUdp4(net.broadcast, stamp);
    case MULTICAST4: return SendUdp4((struct in_addr){htonl(0xefff5606)}, stamp);  // 239.255.86.6
    case UDP6:
      return sendto(fds.udp6, stamp, STAMP_BYTES, 0, (const struct sockaddr*)&net.client6, sizeof net.client6);
    case ICMP: return SendIcmp(stamp);
    case ARP: return SendArp(stamp);
    case NEIGHBOUR: return SendNeighbour(stamp);
    case ETHERTYPE: return SendFrame(EVERYBODY, unknown, sizeof unknown, stamp);
    case VLAN: return SendFrame(EVERYBODY, tagged, sizeof tagged, stamp);
    case LLC: return SendFrame(BRIDGES, llc, sizeof llc, stamp);
    case TCP: return SendTcp(stamp, tcp_records);
    case KINDS: break;
  }
  return 0;
}

static void Talk(Kind kind, size_t tcp_records) {
  static int last_error;
  const Stamp stamp = StampOf(boot, atomic_fetch_add(counter, 1) + 1, kind);
  // A failed send leaves a gap, never a repeated counter; each kind of failure is said once.
  if (Send(kind, &stamp, tcp_records) >= 0 || errno == last_error) return;
  last_error = errno;
  fprintf(stderr, "talker: %s: %s\n", KIND_NAMES[kind], strerror(errno));
}

static void KeepCounterIn(const char* path) {
  const int fd = open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) Fail(path);
  void* page = mmap(NULL, sizeof *counter, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (page == MAP_FAILED) Fail(path);
  close(fd);
  counter = page;
}

static void* Serve(void* port) {
  const int fd = ListenUdp(*(const uint16_t*)port);
  for (;;) {
    const Question question = NextQuestion(fd);
    char line[ANSWER_BYTES];
    snprintf(line, sizeof line, "%" PRIu64 " %016" PRIx64 " %" PRIu64 "\n", atomic_load(counter), boot,
             atomic_load(&connections));
    Answer(&question, line);
  }
  return NULL;
}

int main(int argc, char** argv) {
  const char* interface = TextOption(argc, argv, "--interface");
  const uint64_t hz = NumberOption(argc, argv, "--hz", 500, 1, 20000);
  const uint64_t rounds = NumberOption(argc, argv, "--burst", 8, 0, 1000);
  const uint64_t burst_ms = NumberOption(argc, argv, "--burst-ms", 400, 1, 60000);
  static uint16_t port;
  port = (uint16_t)NumberOption(argc, argv, "--port", 7005, 1, 65535);
  const char* file = TextOption(argc, argv, "--counter");
  if (file) KeepCounterIn(file);
  fds.udp4 = Open(AF_INET, SOCK_DGRAM, 0, "talker: udp4");
  LearnNetwork(interface ? interface : "eth0", TextOption(argc, argv, "--to"), TextOption(argc, argv, "--to6"));
  OpenSockets();
  if (getrandom(&boot, sizeof boot, 0) != sizeof boot) Fail("talker: getrandom");
  pthread_t thread;
  errno = pthread_create(&thread, NULL, Serve, &port);
  if (errno != 0) Fail("talker: pthread_create");
  printf("talker: %" PRIu64 " packets per second of %d kinds\n", hz, KINDS);
  fflush(stdout);

  const struct timespec period = {0, (long)(1000000000ULL / hz - 1)};
  const uint64_t burst_every = burst_ms * hz / 1000 + 1;
  for (uint64_t tick = 0;; tick++) {
    Talk((Kind)(tick % KINDS), 1);
    for (uint64_t i = 0; tick % burst_every == 0 && i < rounds * KINDS; i++) {
      Talk((Kind)(i % KINDS), i < KINDS ? LARGE_WRITE_RECORDS : 1);
    }
    nanosleep(&period, NULL);
  }
}
