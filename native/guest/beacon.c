// The output-commit witness: sends a growing counter at a steady rate.
//
// The counter is plain memory, so it is part of every checkpoint. Whoever receives the packets
// knows that the guest had come at least so far when the packet was let out: after a failover
// no counter may ever be seen that is not greater than the last one seen before.
//
//   beacon --to ADDRESS:PORT | --to [ADDRESS]:PORT  [--hz N]
//
// Payload, little-endian: u64 counter, u64 guest uptime in ns (CLOCK_BOOTTIME).

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "options.h"

static const int64_t kNsPerS = 1000000000LL;

typedef struct {
  uint64_t counter;
  uint64_t uptime_ns;
} Payload;

_Static_assert(sizeof(Payload) == 16, "what is sent is the struct itself");

static volatile uint64_t counter;

static int64_t NowNs(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (int64_t)now.tv_sec * kNsPerS + now.tv_nsec;
}

// Fills `address` from "10.0.0.1:7002" or "[fd00::1]:7002"; returns its length.
static socklen_t ParseAddress(const char* text, struct sockaddr_storage* address) {
  char host[64] = "";
  const char* colon = text ? strrchr(text, ':') : NULL;
  char* end = NULL;
  const long port = colon ? strtol(colon + 1, &end, 10) : 0;
  if (!colon || colon - text >= (long)sizeof host || *end != '\0' || port < 1 || port > 65535) {
    fprintf(stderr, "beacon: --to wants ADDRESS:PORT, got '%s'\n", text ? text : "");
    exit(2);
  }
  memset(address, 0, sizeof *address);
  if (text[0] == '[' && colon - text > 2 && colon[-1] == ']') {
    struct sockaddr_in6* v6 = (struct sockaddr_in6*)address;
    memcpy(host, text + 1, (size_t)(colon - text - 2));
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons((uint16_t)port);
    if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) return sizeof *v6;
  } else {
    struct sockaddr_in* v4 = (struct sockaddr_in*)address;
    memcpy(host, text, (size_t)(colon - text));
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)port);
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) return sizeof *v4;
  }
  fprintf(stderr, "beacon: '%s' is not an address\n", host);
  exit(2);
}

int main(int argc, char** argv) {
  struct sockaddr_storage to;
  const socklen_t to_bytes = ParseAddress(TextOption(argc, argv, "--to"), &to);
  const int64_t period_ns = kNsPerS / (int64_t)NumberOption(argc, argv, "--hz", 1000, 1, 100000);

  const int fd = socket(to.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) Fail("beacon: socket");
  const int on = 1;
  if (setsockopt(fd, SOL_SOCKET, SO_BROADCAST, &on, sizeof on) != 0) Fail("beacon: SO_BROADCAST");
  printf("beacon: started\n");
  fflush(stdout);

  int64_t next_ns = NowNs(CLOCK_MONOTONIC);
  int last_error = 0;
  for (;;) {
    const Payload payload = {++counter, (uint64_t)NowNs(CLOCK_BOOTTIME)};
    // A failed send leaves a gap, never a repeated counter; each kind of failure is said once.
    if (sendto(fd, &payload, sizeof payload, 0, (const struct sockaddr*)&to, to_bytes) < 0 &&
        errno != last_error) {
      last_error = errno;
      perror("beacon: sendto");
    }
    // After a stall go on at the rate instead of catching up in a burst.
    const int64_t now_ns = NowNs(CLOCK_MONOTONIC);
    next_ns = next_ns + period_ns > now_ns ? next_ns + period_ns : now_ns;
    const struct timespec wake = {(time_t)(next_ns / kNsPerS), (long)(next_ns % kNsPerS)};
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &wake, NULL);
  }
}
