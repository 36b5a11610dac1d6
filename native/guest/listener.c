// The outside of the proof of output commit: reports every stamp (talker.c) that it sees on cables, as
// one line of JSON each. Runs on the laboratory's machine, not in the guest.
//
//   listener --outside HOST=INTERFACE ... --inside HOST=NETNS ...
//
// Outside: everything that comes out of an interface of its own network namespace, which is a host's
// cable. Inside: what guests of a host hand to their taps, before any of it is held. It also takes what
// the talkers say over TCP. For each line on standard input it looks through all that has come so far
// and answers {"settled":LINE,...}; at the end of its input it ends.
//
// Nothing is lost silently: the kernel's count of frames that found no room is part of that answer.

#define _GNU_SOURCE  // setns

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "talk.h"

enum { NOT_KNOWN, IS_TAP, IS_OTHER };

enum {
  PORT = 7006,
  SOURCES_MAX = 8,
  STREAMS_MAX = 64,
  // Indices only grow: each start of a guest takes some.
  INTERFACES_MAX = 4096,
  POLLED_MAX = 2 + SOURCES_MAX + STREAMS_MAX,
  FRAME_BYTES_MAX = 128 * 1024,
  LINE_BYTES_MAX = 64,
  // Some seconds of a guest that sends as fast as it can.
  ROOM_BYTES = 64 * 1024 * 1024,
  // Of the first three bytes of guests' addresses: QEMU's own prefix.
  GUEST_MAC = 0x52540000,
};

typedef struct {
  int fd;
  int is_inside;
  const char* host;
  // Of an inside source: what is known of each interface, also of one that is gone by now.
  uint8_t interfaces[INTERFACES_MAX];
} Source;

static Source sources[SOURCES_MAX];
static size_t source_count;
static int streams[STREAMS_MAX];
static size_t stream_count;
static uint64_t frames;
static uint64_t dropped;
static uint64_t damaged;

static void Usage(const char* what) {
  fprintf(stderr, "listener: %s\n", what);
  exit(2);
}

// Bound last, so that no frame of another interface and none without its options is taken.
static int Capture(int index) {
  const int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) Fail("listener: packet socket");
  // Only frames from a guest's address; what else the cables carry costs nothing.
  struct sock_filter steps[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ETH_ALEN),
      BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xffffff00),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, GUEST_MAC, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, FRAME_BYTES_MAX),
      BPF_STMT(BPF_RET | BPF_K, 0),
  };
  const struct sock_fprog filter = {sizeof steps / sizeof *steps, steps};
  const int on = 1;
  const int room = ROOM_BYTES;
  const struct sockaddr_ll all = {
      .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = index};
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &filter, sizeof filter) != 0 ||
      setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) != 0 ||
      setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on) != 0 ||
      setsockopt(fd, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) != 0 ||
      setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) != 0 ||
      bind(fd, (const struct sockaddr*)&all, sizeof all) != 0) {
    Fail("listener: packet socket");
  }
  return fd;
}

// All interfaces of another network namespace, also those that come later.
static int CaptureInside(const char* netns) {
  const int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
  const int there = open(netns, O_RDONLY | O_CLOEXEC);
  if (home < 0 || there < 0 || setns(there, CLONE_NEWNET) != 0) Fail(netns);
  const int fd = Capture(0);
  // A process is counted to the namespace it is in: it must not die with the host.
  if (setns(home, CLONE_NEWNET) != 0) Fail("listener: setns");
  close(home);
  close(there);
  return fd;
}

static void AddSource(char* text, int is_inside) {
  char* value = text ? strchr(text, '=') : NULL;
  if (!value || source_count == SOURCES_MAX) Usage("wants at most 8 of HOST=INTERFACE and HOST=NETNS");
  *value++ = '\0';
  const unsigned index = is_inside ? 0 : if_nametoindex(value);
  if (!is_inside && index == 0) Fail(value);
  const int fd = is_inside ? CaptureInside(value) : Capture((int)index);
  sources[source_count++] = (Source){.fd = fd, .is_inside = is_inside, .host = text};
}

// libvirt's name for a guest's tap. Asked through the socket, which belongs to the host's namespace.
static int IsTap(Source* source, int index) {
  if (index < 0 || index >= INTERFACES_MAX) Usage("more interfaces than it knows of");
  uint8_t* known = &source->interfaces[index];
  struct ifreq request = {.ifr_ifindex = index};
  if (*known == NOT_KNOWN && ioctl(source->fd, SIOCGIFNAME, &request) == 0) {
    *known = strncmp(request.ifr_name, "vnet", 4) == 0 ? IS_TAP : IS_OTHER;
  }
  return *known == IS_TAP;
}

static Kind KindOfIp(const uint8_t* frame, size_t bytes) {
  const uint8_t* ip = frame + ETH_HLEN;
  if (bytes < ETH_HLEN + 20) return KINDS;
  if (ip[9] == IPPROTO_ICMP) return ICMP;
  if (ip[9] == IPPROTO_TCP) return TCP;
  if (ip[9] != IPPROTO_UDP) return KINDS;
  if ((ip[16] & 0xf0) == 0xe0) return MULTICAST4;
  return frame[0] == 0xff ? BROADCAST4 : UDP4;
}

static Kind KindOfIp6(const uint8_t* frame, size_t bytes) {
  const uint8_t* ip = frame + ETH_HLEN;
  if (bytes < ETH_HLEN + 41) return KINDS;
  if (ip[6] == IPPROTO_UDP) return UDP6;
  return ip[6] == IPPROTO_ICMPV6 && ip[40] == ND_NEIGHBOR_SOLICIT ? NEIGHBOUR : KINDS;
}

// What a frame is by its headers alone; KINDS when it is none of the talker's.
static Kind KindOf(const uint8_t* frame, size_t bytes, int is_tagged) {
  if (bytes < ETH_HLEN) return KINDS;
  const unsigned type = (unsigned)frame[12] << 8 | frame[13];
  // The kernel takes the tag out of the frame and tells of it beside.
  if (is_tagged) return type == TAGGED_ETHERTYPE ? VLAN : KINDS;
  if (type <= ETH_DATA_LEN) return LLC;
  switch (type) {
    case ETH_P_ARP: return ARP;
    case ETH_P_IP: return KindOfIp(frame, bytes);
    case ETH_P_IPV6: return KindOfIp6(frame, bytes);
    case UNKNOWN_ETHERTYPE: return ETHERTYPE;
    default: return KINDS;
  }
}

static void Report(const Source* source, const Stamp* stamp, uint64_t at_ns) {
  printf("{\"host\":\"%s\",\"side\":\"%s\",\"kind\":\"%s\",\"counter\":%" PRIu64 ",\"boot\":\"%016" PRIx64
         "\",\"atUs\":%" PRIu64 "}\n",
         source->host, source->is_inside ? "inside" : "outside", KIND_NAMES[stamp->kind], stamp->counter,
         stamp->boot, at_ns / 1000);
}

static void LookThrough(const Source* source, const uint8_t* frame, size_t bytes, int is_tagged, uint64_t at_ns) {
  const Kind kind = KindOf(frame, bytes, is_tagged);
  uint64_t last = 0;
  const uint8_t* at = frame;
  while ((at = memmem(at, (size_t)(frame + bytes - at), &STAMP_MAGIC, sizeof STAMP_MAGIC)) != NULL) {
    Stamp stamp;
    const int is_whole = (size_t)(frame + bytes - at) >= STAMP_BYTES;
    if (is_whole) memcpy(&stamp, at, sizeof stamp);
    at += sizeof STAMP_MAGIC;
    if (is_whole && stamp.check == CheckOf(&stamp) && stamp.kind == kind) {
      // One write repeats its stamp, for each frame that it may be cut into.
      if (stamp.counter != last) Report(source, &stamp, at_ns);
      last = stamp.counter;
    } else if (kind != TCP) {
      // A stream is cut anywhere; of nothing else may a part be seen.
      damaged++;
    }
  }
}

// One frame; 0 when there is none.
static int TakeFrame(Source* source) {
  static uint8_t frame[FRAME_BYTES_MAX];
  union {
    struct cmsghdr align;
    char bytes[256];
  } control;
  struct sockaddr_ll from;
  struct iovec into = {frame, sizeof frame};
  struct msghdr message = {.msg_name = &from, .msg_namelen = sizeof from, .msg_iov = &into, .msg_iovlen = 1,
                           .msg_control = &control, .msg_controllen = sizeof control};
  const ssize_t bytes = recvmsg(source->fd, &message, 0);
  if (bytes < 0) {
    // A cable was pulled; the socket goes on when it is back (packet(7)).
    if (errno == ENETDOWN || errno == EINTR) return 1;
    if (errno != EAGAIN) Fail("listener: recvmsg");
    return 0;
  }
  if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) Usage("a frame larger than any");
  if (source->is_inside && !IsTap(source, from.sll_ifindex)) return 1;
  int is_tagged = 0;
  uint64_t at_ns = 0;
  for (struct cmsghdr* part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_level == SOL_PACKET && part->cmsg_type == PACKET_AUXDATA) {
      struct tpacket_auxdata about;
      memcpy(&about, CMSG_DATA(part), sizeof about);
      is_tagged = (about.tp_status & TP_STATUS_VLAN_VALID) != 0;
    } else if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_TIMESTAMPNS) {
      struct timespec at;
      memcpy(&at, CMSG_DATA(part), sizeof at);
      at_ns = (uint64_t)at.tv_sec * 1000000000ULL + (uint64_t)at.tv_nsec;
    }
  }
  frames++;
  LookThrough(source, frame, (size_t)bytes, is_tagged, at_ns);
  return 1;
}

static void TakeAll(Source* source) {
  while (TakeFrame(source)) continue;
  struct tpacket_stats counts;
  socklen_t bytes = sizeof counts;
  // Reading it sets it to zero.
  if (getsockopt(source->fd, SOL_PACKET, PACKET_STATISTICS, &counts, &bytes) != 0) Fail("listener: statistics");
  dropped += counts.tp_drops;
}

static void Settle(const char* line) {
  for (size_t i = 0; i < source_count; i++) TakeAll(&sources[i]);
  printf("{\"settled\":%lu,\"frames\":%" PRIu64 ",\"dropped\":%" PRIu64 ",\"damaged\":%" PRIu64 "}\n",
         strtoul(line, NULL, 10), frames, dropped, damaged);
}

static void TakeCommands(void) {
  static char text[LINE_BYTES_MAX];
  static size_t length;
  const ssize_t bytes = read(STDIN_FILENO, text + length, sizeof text - 1 - length);
  if (bytes <= 0) exit(0);
  length += (size_t)bytes;
  text[length] = '\0';
  char* end;
  while ((end = strchr(text, '\n')) != NULL) {
    *end = '\0';
    Settle(text);
    length -= (size_t)(end + 1 - text);
    memmove(text, end + 1, length + 1);
  }
  if (length == sizeof text - 1) Usage("a command too long");
}

static int ListenTcp(void) {
  const int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const int on = 1;
  const struct sockaddr_in6 address = {
      .sin6_family = AF_INET6, .sin6_port = htons(PORT), .sin6_addr = IN6ADDR_ANY_INIT};
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(fd, (const struct sockaddr*)&address, sizeof address) != 0 || listen(fd, STREAMS_MAX) != 0) {
    Fail("listener: TCP port");
  }
  return fd;
}

static void Accept(int fd) {
  const int stream = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (stream < 0) return;
  if (stream_count == STREAMS_MAX) close(stream);
  else streams[stream_count++] = stream;
}

// What was sent is looked at on the cable; here it only makes room for more.
static void TakeStream(size_t number) {
  static uint8_t nothing[FRAME_BYTES_MAX];
  const ssize_t bytes = read(streams[number], nothing, sizeof nothing);
  if (bytes > 0 || (bytes < 0 && (errno == EAGAIN || errno == EINTR))) return;
  close(streams[number]);
  streams[number] = streams[--stream_count];
}

int main(int argc, char** argv) {
  for (int i = 1; i < argc; i += 2) {
    if (strcmp(argv[i], "--outside") == 0) AddSource(argv[i + 1], 0);
    else if (strcmp(argv[i], "--inside") == 0) AddSource(argv[i + 1], 1);
    else Usage("knows --outside and --inside");
  }
  const int tcp = ListenTcp();
  Settle("0");
  fflush(stdout);
  for (;;) {
    struct pollfd polled[POLLED_MAX] = {{STDIN_FILENO, POLLIN, 0}, {tcp, POLLIN, 0}};
    for (size_t i = 0; i < source_count; i++) polled[2 + i] = (struct pollfd){sources[i].fd, POLLIN, 0};
    const size_t first = 2 + source_count;
    for (size_t i = 0; i < stream_count; i++) polled[first + i] = (struct pollfd){streams[i], POLLIN, 0};
    if (poll(polled, first + stream_count, -1) < 0) Fail("listener: poll");
    for (size_t i = 0; i < source_count; i++) {
      if (polled[2 + i].revents) TakeAll(&sources[i]);
    }
    // From the last: one that ends is replaced by the one behind it.
    for (size_t i = stream_count; i-- > 0;) {
      if (polled[first + i].revents) TakeStream(i);
    }
    if (polled[1].revents) Accept(tcp);
    if (polled[0].revents) TakeCommands();
    fflush(stdout);
  }
}
