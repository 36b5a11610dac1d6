// Stands for the backup: connects to 127.0.0.1:PORT and throws away what comes, until the connection ends.
//
//   sink PORT
//
// With MSG_TRUNC the kernel drops TCP's bytes without copying them (tcp(7)), and with MSG_WAITALL it wakes us
// once per piece: the work of receiving is another host's, and here would be taken from the guest's processor.

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { PIECE_BYTES = 1024 * 1024 };

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "sink: wants PORT\n");
    return 2;
  }
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)atoi(argv[1])),
                                      .sin_addr = {htonl(INADDR_LOOPBACK)}};
  if (fd < 0 || connect(fd, (const struct sockaddr*)&address, sizeof address) != 0) {
    perror("sink");
    return 1;
  }
  while (recv(fd, NULL, PIECE_BYTES, MSG_TRUNC | MSG_WAITALL) > 0) continue;
  return 0;
}
