// The two ends of a connection through an output hold, with as little of their own cost as can be.
//
//   hold-peer sink   ADDRESS PORT            listens, then reads one connection to its end
//   hold-peer source ADDRESS PORT SECONDS    writes as fast as it can, and says bytes per second
//   hold-peer echo   ADDRESS PORT            answers every datagram
//   hold-peer ping   ADDRESS PORT COUNT      one datagram after the other, and says the median RTT in µs
//
// sink and echo print "ready" when they can be talked to, and end when they are killed.

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

// Stays in the second-level cache at both ends; larger is slower.
enum { PIECE_BYTES = 256 * 1024, PINGS_MAX = 1000000, LOST_AFTER_MS = 1000 };

static void Fail(const char* what) {
  perror(what);
  exit(1);
}

static double Seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void Ready(void) {
  puts("ready");
  fflush(stdout);
}

static int Socket(int type, const struct sockaddr_in* bound, const struct sockaddr_in* peer) {
  const int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
  const int on = 1;
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) Fail("socket");
  if (bound != NULL && bind(fd, (const struct sockaddr*)bound, sizeof *bound) != 0) Fail("bind");
  if (peer != NULL && connect(fd, (const struct sockaddr*)peer, sizeof *peer) != 0) Fail("connect");
  return fd;
}

static void Sink(const struct sockaddr_in* address, char* piece) {
  const int listener = Socket(SOCK_STREAM, address, NULL);
  if (listen(listener, 8) != 0) Fail("listen");
  Ready();
  for (;;) {
    const int fd = accept(listener, NULL, NULL);
    if (fd < 0) Fail("accept");
    while (read(fd, piece, PIECE_BYTES) > 0) continue;
    close(fd);
  }
}

static void Source(const struct sockaddr_in* address, char* piece, double seconds) {
  const int fd = Socket(SOCK_STREAM, NULL, address);
  const double start = Seconds();
  uint64_t bytes = 0;
  while (Seconds() - start < seconds) {
    const ssize_t sent = write(fd, piece, PIECE_BYTES);
    if (sent < 0) Fail("write");
    bytes += (uint64_t)sent;
  }
  printf("%.0f\n", (double)bytes / (Seconds() - start));
}

static void Echo(const struct sockaddr_in* address, char* piece) {
  const int fd = Socket(SOCK_DGRAM, address, NULL);
  Ready();
  for (;;) {
    struct sockaddr_in from;
    socklen_t length = sizeof from;
    const ssize_t got = recvfrom(fd, piece, PIECE_BYTES, 0, (struct sockaddr*)&from, &length);
    if (got < 0) Fail("recvfrom");
    if (sendto(fd, piece, (size_t)got, 0, (struct sockaddr*)&from, length) < 0) Fail("sendto");
  }
}

static int Ascending(const void* a, const void* b) {
  const double left = *(const double*)a, right = *(const double*)b;
  return (left > right) - (left < right);
}

static void Ping(const struct sockaddr_in* address, char* piece, size_t count) {
  const int fd = Socket(SOCK_DGRAM, NULL, address);
  const struct timeval patience = {.tv_sec = LOST_AFTER_MS / 1000};
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) != 0) Fail("SO_RCVTIMEO");
  double* const micros = malloc(count * sizeof *micros);
  if (micros == NULL) Fail("malloc");
  for (size_t i = 0; i < count; i++) {
    const double start = Seconds();
    if (send(fd, piece, 64, 0) < 0) Fail("send");
    if (recv(fd, piece, 64, 0) < 0) Fail("recv");
    micros[i] = (Seconds() - start) * 1e6;
  }
  qsort(micros, count, sizeof *micros, Ascending);
  printf("%.2f\n", micros[count / 2]);
}

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3]))};
  if (inet_pton(AF_INET, argv[2], &address.sin_addr) != 1) Fail("address");
  char* const piece = malloc(PIECE_BYTES);
  if (piece == NULL) Fail("malloc");
  memset(piece, 0x5a, PIECE_BYTES);
  const double amount = argc > 4 ? atof(argv[4]) : 0;
  if (strcmp(argv[1], "sink") == 0) Sink(&address, piece);
  if (strcmp(argv[1], "echo") == 0) Echo(&address, piece);
  if (strcmp(argv[1], "source") == 0 && amount > 0) Source(&address, piece, amount);
  if (strcmp(argv[1], "ping") == 0 && amount >= 1 && amount <= PINGS_MAX) Ping(&address, piece, (size_t)amount);
  return 0;
}
