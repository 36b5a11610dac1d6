// One end of a wire for the output hold's tests: sends Ethernet frames from an interface exactly as
// told, and remembers what guests have sent there. Run inside a network namespace:
//
//   netbuffer-wire INTERFACE
//
// Takes one command per line and answers each with one line of JSON:
//
//   send HEX                             one frame
//   burst FROM THROUGH BYTES DST SRC     numbered frames of BYTES, back to back
//   stream FROM DST SRC                  a numbered frame each millisecond, until
//   stop                                 which answers with the last number
//   seen                                 numbers and other frames (hex) that came, in order
//   forget
//
// A numbered frame has the local experimental ethertype and four bytes of number.

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  NUMBERED_TYPE = 0x88b5,
  NUMBERED_BYTES_MIN = 60,
  FRAME_BYTES_MAX = 2048,
  NUMBERS_MAX = 200000,
  FRAMES_MAX = 256,
  COMMAND_BYTES_MAX = 2 * FRAME_BYTES_MAX + 64,
  SOCKET_BYTES = 256 << 20,
};

// Every guest's address begins so; nothing else is remembered.
static const uint8_t kGuestPrefix[4] = {0x52, 0x54, 0x00, 0x77};

static uint32_t numbers[NUMBERS_MAX];
static size_t numbers_count;
static struct { size_t bytes; uint8_t data[FRAME_BYTES_MAX]; } frames[FRAMES_MAX];
static size_t frames_count;
static uint64_t last_ns;
static int wire;
static uint8_t stream_frame[NUMBERED_BYTES_MIN];
static uint32_t stream_number;
static int streaming;

static void Fail(const char* what) {
  perror(what);
  exit(1);
}

static uint64_t MonotonicNs(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static size_t FromHex(const char* text, uint8_t* out, size_t max) {
  size_t bytes = 0;
  unsigned byte;
  while (bytes < max && sscanf(text, "%2x", &byte) == 1) {
    out[bytes++] = (uint8_t)byte;
    text += 2;
    if (*text == ':') text++;
  }
  return bytes;
}

static void SendFrame(const uint8_t* frame, size_t bytes) {
  // A full queue empties by itself: wait for room, or a burst would lose frames before the guest's tap.
  while (send(wire, frame, bytes, 0) < 0) {
    if (errno != ENOBUFS && errno != EAGAIN) Fail("send");
    poll(NULL, 0, 1);
  }
}

static void FillNumbered(uint8_t* frame, const char* to, const char* from) {
  FromHex(to, frame, 6);
  FromHex(from, frame + 6, 6);
  frame[12] = NUMBERED_TYPE >> 8;
  frame[13] = NUMBERED_TYPE & 0xff;
}

static void SendNumbered(uint8_t* frame, size_t bytes, uint32_t number) {
  const uint32_t big = htonl(number);
  memcpy(frame + 14, &big, sizeof big);
  SendFrame(frame, bytes);
}

// The kernel has taken the VLAN tag out of the frame: put it back.
static size_t WithTag(struct msghdr* message, uint8_t* frame, size_t bytes) {
  for (struct cmsghdr* at = CMSG_FIRSTHDR(message); at != NULL; at = CMSG_NXTHDR(message, at)) {
    if (at->cmsg_level != SOL_PACKET || at->cmsg_type != PACKET_AUXDATA) continue;
    struct tpacket_auxdata aux;
    memcpy(&aux, CMSG_DATA(at), sizeof aux);
    if (!(aux.tp_status & TP_STATUS_VLAN_VALID) || bytes + 4 > FRAME_BYTES_MAX) return bytes;
    memmove(frame + 16, frame + 12, bytes - 12);
    const uint16_t type = htons(aux.tp_status & TP_STATUS_VLAN_TPID_VALID ? aux.tp_vlan_tpid : ETH_P_8021Q);
    const uint16_t tag = htons(aux.tp_vlan_tci);
    memcpy(frame + 12, &type, 2);
    memcpy(frame + 14, &tag, 2);
    return bytes + 4;
  }
  return bytes;
}

static void Remember(const uint8_t* frame, size_t bytes) {
  if (bytes < ETH_HLEN || memcmp(frame + 6, kGuestPrefix, sizeof kGuestPrefix) != 0) return;
  last_ns = MonotonicNs();
  if (bytes >= 18 && frame[12] == NUMBERED_TYPE >> 8 && frame[13] == (NUMBERED_TYPE & 0xff)) {
    uint32_t big;
    memcpy(&big, frame + 14, sizeof big);
    if (numbers_count < NUMBERS_MAX) numbers[numbers_count++] = ntohl(big);
  } else if (frames_count < FRAMES_MAX) {
    frames[frames_count].bytes = bytes;
    memcpy(frames[frames_count++].data, frame, bytes);
  }
}

static void ReceiveAll(void) {
  for (;;) {
    uint8_t frame[FRAME_BYTES_MAX + 4];
    char control[CMSG_SPACE(sizeof(struct tpacket_auxdata))];
    struct sockaddr_ll from;
    struct iovec part = {frame, FRAME_BYTES_MAX};
    struct msghdr message = {&from, sizeof from, &part, 1, control, sizeof control, 0};
    const ssize_t got = recvmsg(wire, &message, MSG_DONTWAIT);
    if (got < 0 && errno == ENETDOWN) continue;
    if (got < 0) return;
    if (from.sll_pkttype != PACKET_OUTGOING) Remember(frame, WithTag(&message, frame, (size_t)got));
  }
}

static void AnswerSeen(void) {
  struct tpacket_stats stats;
  socklen_t length = sizeof stats;
  if (getsockopt(wire, SOL_PACKET, PACKET_STATISTICS, &stats, &length) != 0) Fail("PACKET_STATISTICS");
  printf("{\"value\":{\"lost\":%u,\"lastNs\":\"%llu\",\"numbers\":[", stats.tp_drops, (unsigned long long)last_ns);
  for (size_t i = 0; i < numbers_count; i++) printf(i ? ",%u" : "%u", numbers[i]);
  printf("],\"frames\":[");
  for (size_t i = 0; i < frames_count; i++) {
    printf(i ? ",\"" : "\"");
    for (size_t at = 0; at < frames[i].bytes; at++) printf("%02x", frames[i].data[at]);
    printf("\"");
  }
  printf("]}}\n");
}

static void Obey(const char* line) {
  char to[24], from[24];
  unsigned first, last, bytes;
  uint8_t frame[FRAME_BYTES_MAX] = {0};
  if (sscanf(line, "burst %u %u %u %23s %23s", &first, &last, &bytes, to, from) == 5 && bytes <= FRAME_BYTES_MAX) {
    FillNumbered(frame, to, from);
    for (unsigned number = first; number <= last; number++) SendNumbered(frame, bytes, number);
    printf("{\"value\":%u}\n", last - first + 1);
  } else if (sscanf(line, "stream %u %23s %23s", &first, to, from) == 3) {
    FillNumbered(stream_frame, to, from);
    stream_number = first;
    streaming = 1;
    printf("{\"value\":true}\n");
  } else if (strncmp(line, "send ", 5) == 0) {
    SendFrame(frame, FromHex(line + 5, frame, sizeof frame));
    printf("{\"value\":true}\n");
  } else if (strcmp(line, "stop") == 0) {
    streaming = 0;
    printf("{\"value\":%u}\n", stream_number - 1);
  } else if (strcmp(line, "seen") == 0) {
    AnswerSeen();
  } else if (strcmp(line, "forget") == 0) {
    numbers_count = frames_count = 0;
    printf("{\"value\":true}\n");
  } else {
    printf("{\"error\":\"no such command\"}\n");
  }
  fflush(stdout);
}

static void Open(const char* name) {
  wire = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
  const int on = 1, bytes = SOCKET_BYTES;
  if (wire < 0) Fail("socket");
  if (setsockopt(wire, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes) != 0) Fail("SO_RCVBUFFORCE");
  if (setsockopt(wire, SOL_PACKET, PACKET_AUXDATA, &on, sizeof on) != 0) Fail("PACKET_AUXDATA");
  const struct sockaddr_ll all = {
      .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = (int)if_nametoindex(name)};
  if (all.sll_ifindex == 0 || bind(wire, (const struct sockaddr*)&all, sizeof all) != 0) Fail(name);
}

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  Open(argv[1]);
  puts("{\"value\":\"ready\"}");
  fflush(stdout);
  static char line[COMMAND_BYTES_MAX];
  size_t used = 0;
  for (;;) {
    struct pollfd waiting[2] = {{STDIN_FILENO, POLLIN, 0}, {wire, POLLIN, 0}};
    if (poll(waiting, 2, streaming ? 1 : -1) < 0) Fail("poll");
    ReceiveAll();
    if (streaming) SendNumbered(stream_frame, sizeof stream_frame, stream_number++);
    if (!waiting[0].revents) continue;
    const ssize_t got = read(STDIN_FILENO, line + used, sizeof line - used - 1);
    if (got <= 0) return 0;
    used += (size_t)got;
    line[used] = '\0';
    for (char* end; (end = strchr(line, '\n')) != NULL;) {
      *end = '\0';
      Obey(line);
      used -= (size_t)(end + 1 - line);
      memmove(line, end + 1, used + 1);
    }
  }
}
