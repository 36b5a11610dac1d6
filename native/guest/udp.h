// How the guest's verifiers and loads are asked: any datagram is a question, one line the answer.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "options.h"

enum { QUESTION_BYTES = 64, ANSWER_BYTES = 160 };

typedef struct {
  int fd;
  struct sockaddr_in6 from;
  char text[QUESTION_BYTES];
} Question;

// IPv4 and IPv6; ends the program when the port is not to be had.
static inline int ListenUdp(uint16_t port) {
  const int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) Fail("udp: socket");
  const int off = 0;
  if (setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) Fail("udp: IPV6_V6ONLY");
  const struct sockaddr_in6 address = {
      .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_ANY_INIT};
  if (bind(fd, (const struct sockaddr*)&address, sizeof address) != 0) Fail("udp: bind");
  return fd;
}

// Waits for the next question.
static inline Question NextQuestion(int fd) {
  Question question = {.fd = fd};
  for (;;) {
    socklen_t from_bytes = sizeof question.from;
    const ssize_t bytes = recvfrom(fd, question.text, sizeof question.text - 1, 0,
                                   (struct sockaddr*)&question.from, &from_bytes);
    if (bytes < 0) continue;
    question.text[bytes] = '\0';
    return question;
  }
}

// An answer that cannot be sent is the asker's to ask for again: this is UDP.
static inline void Answer(const Question* question, const char* line) {
  if (sendto(question->fd, line, strlen(line), 0, (const struct sockaddr*)&question->from,
             sizeof question->from) < 0) {
    perror("udp: sendto");
  }
}
