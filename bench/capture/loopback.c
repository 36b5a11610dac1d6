// The speed of a plain TCP connection: one end writes, the other reads, nothing else is done.
//
//   loopback send    ADDRESS PORT BYTES        listens, and says so
//   loopback receive ADDRESS PORT BYTES        connects, and says how many bytes per second came

#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

// Stays in the second-level cache at both ends; larger is slower.
enum { PIECE_BYTES = 256 * 1024 };

static void Fail(const char* what) {
  perror(what);
  exit(1);
}

static double Seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void Send(int listener, const struct sockaddr_in* address, char* piece, uint64_t bytes) {
  if (bind(listener, (const struct sockaddr*)address, sizeof *address) != 0) Fail("bind");
  if (listen(listener, 1) != 0) Fail("listen");
  puts("listening");
  fflush(stdout);
  const int fd = accept(listener, NULL, NULL);
  if (fd < 0) Fail("accept");
  while (bytes > 0) {
    const ssize_t sent = write(fd, piece, bytes < PIECE_BYTES ? bytes : PIECE_BYTES);
    if (sent < 0) Fail("write");
    bytes -= (uint64_t)sent;
  }
}

static void Receive(int fd, const struct sockaddr_in* address, char* piece, uint64_t bytes) {
  const double start = Seconds();
  if (connect(fd, (const struct sockaddr*)address, sizeof *address) != 0) Fail("connect");
  for (uint64_t left = bytes; left > 0;) {
    const ssize_t got = read(fd, piece, PIECE_BYTES);
    if (got <= 0) Fail("read");
    left -= (uint64_t)got;
  }
  printf("%.0f\n", (double)bytes / (Seconds() - start));
}

int main(int argc, char** argv) {
  if (argc != 5) return 2;
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[3]))};
  if (inet_pton(AF_INET, argv[2], &address.sin_addr) != 1) Fail("address");
  const uint64_t bytes = strtoull(argv[4], NULL, 10);
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0) Fail("socket");
  char* const piece = malloc(PIECE_BYTES);
  if (piece == NULL) Fail("malloc");
  memset(piece, 0x5a, PIECE_BYTES);
  (strcmp(argv[1], "send") == 0 ? Send : Receive)(fd, &address, piece, bytes);
  return 0;
}
