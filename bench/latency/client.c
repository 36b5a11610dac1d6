// What a client of the guest sees, in microseconds. Each answer is a line or more on standard output.
//
//   client ping  ADDRESS COUNT            ICMP echoes, each after a gap of another length: the round trips, one a line
//   client redis ADDRESS CLIENTS SECONDS  SET and GET by turns over CLIENTS connections, each in a closed loop:
//                                         "COUNT SECONDS" of all that were answered in time, then every latency
//   client bulk  ADDRESS SECONDS          GETs of one large value, never fewer than DEPTH under way: "BYTES SECONDS"
//   client spin  ADDRESS PORT ROUNDS      asks spin in the guest: "SECONDS", by this clock, then its own answer

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
  REDIS_PORT = 6379,
  CLIENTS_MAX = 64,
  VALUE_BYTES = 64,
  BULK_BYTES = 1024 * 1024,
  DEPTH = 4,
  GAP_MIN_US = 20000,
  // A whole number of the intervals of every mode. An answer comes at the end of an epoch, so that the gap behind it
  // decides at which phase the next echo comes: over this span each phase is as likely as any other.
  GAP_SPAN_US = 100000,
  // An answer that is held this long will not come.
  ANSWER_TIMEOUT_MS = 10000,
  SPIN_TIMEOUT_MS = 60000,
};

static const int64_t NS_PER_S = 1000000000;

static void Fail(const char* what) {
  fprintf(stderr, "client: %s: %s\n", what, errno == 0 ? "unexpected" : strerror(errno));
  exit(1);
}

static int64_t NowNs(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (int64_t)now.tv_sec * NS_PER_S + now.tv_nsec;
}

static double SecondsSince(int64_t from_ns) { return (double)(NowNs() - from_ns) / (double)NS_PER_S; }

static struct sockaddr_in AddressOf(const char* text, uint16_t port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
  if (inet_pton(AF_INET, text, &address.sin_addr) != 1) Fail(text);
  return address;
}

static int Connected(int type, const char* address, uint16_t port) {
  const struct sockaddr_in to = AddressOf(address, port);
  const int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
  if (fd < 0 || connect(fd, (const struct sockaddr*)&to, sizeof to) != 0) Fail("connect");
  return fd;
}

static int ConnectedToRedis(const char* address) {
  const int fd = Connected(SOCK_STREAM, address, REDIS_PORT);
  const int on = 1;
  if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0) Fail("TCP_NODELAY");
  return fd;
}

static void AwaitAnswer(int fd, int timeout_ms) {
  struct pollfd wanted = {.fd = fd, .events = POLLIN};
  errno = ETIMEDOUT;
  if (poll(&wanted, 1, timeout_ms) != 1) Fail("no answer");
}

static void WriteAll(int fd, const char* bytes, size_t length) {
  while (length > 0) {
    const ssize_t sent = write(fd, bytes, length);
    if (sent < 0) Fail("write");
    bytes += sent;
    length -= (size_t)sent;
  }
}

// RFC 1071, over an even number of bytes.
static uint16_t InternetChecksum(const void* data, size_t bytes) {
  const uint8_t* at = data;
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < bytes; i += 2) sum += (uint32_t)at[i] << 8 | at[i + 1];
  while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
  return htons((uint16_t)~sum);
}

static int64_t EchoNs(int fd, const struct sockaddr_in* to, uint16_t id, uint16_t sequence) {
  struct icmphdr echo = {.type = ICMP_ECHO, .un.echo = {.id = id, .sequence = sequence}};
  echo.checksum = InternetChecksum(&echo, sizeof echo);
  const int64_t from_ns = NowNs();
  if (sendto(fd, &echo, sizeof echo, 0, (const struct sockaddr*)to, sizeof *to) < 0) Fail("sendto");
  for (;;) {
    // A raw socket receives every ICMP message of this namespace, with its IP header (raw(7)).
    AwaitAnswer(fd, ANSWER_TIMEOUT_MS);
    uint8_t packet[256];
    const ssize_t bytes = recv(fd, packet, sizeof packet, 0);
    const int64_t at_ns = NowNs();
    if (bytes < (ssize_t)sizeof(struct iphdr)) continue;
    const size_t header = (size_t)(packet[0] & 0xf) * 4;
    struct icmphdr answer;
    if ((size_t)bytes < header + sizeof answer) continue;
    memcpy(&answer, packet + header, sizeof answer);
    if (answer.type == ICMP_ECHOREPLY && answer.un.echo.id == id && answer.un.echo.sequence == sequence) {
      return at_ns - from_ns;
    }
  }
}

// The golden ratio's multiples modulo 1 lie evenly in [0, 1), however many (Weyl's sequence): less noise than chance.
static double Evenly(int i) {
  const double multiple = i * 0.6180339887498949;
  return multiple - (double)(long)multiple;
}

static void Ping(const char* address, int count) {
  const struct sockaddr_in to = AddressOf(address, 0);
  const int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);
  if (fd < 0) Fail("socket");
  const uint16_t id = htons((uint16_t)getpid());
  // The first one also finds the neighbour’s address.
  EchoNs(fd, &to, id, 0);
  for (int i = 1; i <= count; i++) {
    const long gap_us = GAP_MIN_US + (long)(Evenly(i) * GAP_SPAN_US);
    const struct timespec gap = {0, gap_us * 1000};
    nanosleep(&gap, NULL);
    printf("%.1f\n", (double)EchoNs(fd, &to, id, htons((uint16_t)i)) / 1e3);
  }
}

typedef struct {
  int fd;
  int is_get;
  size_t got;
  int64_t sent_ns;
  char set[160];
  char get[64];
} Client;

static const char SET_ANSWER[] = "+OK\r\n";
static const char GET_ANSWER[] = "$64\r\n";

static void Ask(Client* client) {
  const char* command = client->is_get ? client->get : client->set;
  client->got = 0;
  client->sent_ns = NowNs();
  WriteAll(client->fd, command, strlen(command));
}

// Whether the whole answer is there.
static int HasAnswered(Client* client) {
  char answer[256];
  const size_t wanted = client->is_get ? sizeof GET_ANSWER - 1 + VALUE_BYTES + 2 : sizeof SET_ANSWER - 1;
  const ssize_t got = read(client->fd, answer, wanted - client->got);
  if (got <= 0) Fail("read");
  if (client->got == 0 && answer[0] != (client->is_get ? '$' : '+')) {
    errno = EPROTO;
    Fail("Redis refuses");
  }
  client->got += (size_t)got;
  return client->got == wanted;
}

static void Redis(const char* address, int count, int seconds) {
  static Client clients[CLIENTS_MAX];
  struct pollfd wanted[CLIENTS_MAX];
  if (count < 1 || count > CLIENTS_MAX) Fail("CLIENTS");
  char value[VALUE_BYTES + 1] = "";
  memset(value, 'x', VALUE_BYTES);
  for (int i = 0; i < count; i++) {
    Client* client = &clients[i];
    client->fd = ConnectedToRedis(address);
    snprintf(client->set, sizeof client->set, "*3\r\n$3\r\nSET\r\n$6\r\nkey:%02d\r\n$%d\r\n%s\r\n", i, VALUE_BYTES,
             value);
    snprintf(client->get, sizeof client->get, "*2\r\n$3\r\nGET\r\n$6\r\nkey:%02d\r\n", i);
    wanted[i] = (struct pollfd){.fd = client->fd, .events = POLLIN};
  }
  // Kept and printed afterwards: printing would be a part of the next latency.
  size_t samples = 0;
  size_t room = 1 << 16;
  float* taken_us = malloc(room * sizeof *taken_us);
  const int64_t from_ns = NowNs();
  const int64_t until_ns = from_ns + (int64_t)seconds * NS_PER_S;
  size_t in_time = 0;
  int open = count;
  for (int i = 0; i < count; i++) Ask(&clients[i]);
  while (open > 0) {
    errno = ETIMEDOUT;
    if (poll(wanted, (nfds_t)count, ANSWER_TIMEOUT_MS) < 1) Fail("no answer");
    for (int i = 0; i < count; i++) {
      if (wanted[i].revents == 0 || !HasAnswered(&clients[i])) continue;
      const int64_t now_ns = NowNs();
      if (samples == room) taken_us = realloc(taken_us, (room *= 2) * sizeof *taken_us);
      if (taken_us == NULL) Fail("memory");
      taken_us[samples++] = (float)(now_ns - clients[i].sent_ns) / 1e3f;
      if (now_ns < until_ns) {
        in_time++;
        clients[i].is_get = !clients[i].is_get;
        Ask(&clients[i]);
      } else {
        wanted[i].fd = -1;
        open--;
      }
    }
  }
  printf("%zu %d\n", in_time, seconds);
  for (size_t i = 0; i < samples; i++) printf("%.1f\n", (double)taken_us[i]);
  free(taken_us);
}

// Reads `bytes` or fails.
static void ReadAll(int fd, char* into, size_t bytes) {
  for (size_t got = 0; got < bytes;) {
    AwaitAnswer(fd, ANSWER_TIMEOUT_MS);
    const ssize_t more = read(fd, into + got, bytes - got);
    if (more <= 0) Fail("read");
    got += (size_t)more;
  }
}

static void Bulk(const char* address, int seconds) {
  static char value[BULK_BYTES + 64];
  static const char get[] = "*2\r\n$3\r\nGET\r\n$4\r\nbulk\r\n";
  const int fd = ConnectedToRedis(address);
  const int head = snprintf(value, 64, "*3\r\n$3\r\nSET\r\n$4\r\nbulk\r\n$%d\r\n", BULK_BYTES);
  memset(value + head, 'b', BULK_BYTES);
  memcpy(value + head + BULK_BYTES, "\r\n", 2);
  WriteAll(fd, value, (size_t)head + BULK_BYTES + 2);
  ReadAll(fd, value, sizeof SET_ANSWER - 1);
  // "$1048576\r\n", the value, "\r\n"
  const size_t answer_bytes = 10 + BULK_BYTES + 2;
  for (int i = 0; i <= DEPTH; i++) WriteAll(fd, get, sizeof get - 1);
  ReadAll(fd, value, answer_bytes);
  const int64_t from_ns = NowNs();
  const int64_t until_ns = from_ns + (int64_t)seconds * NS_PER_S;
  uint64_t received = 0;
  size_t in_answer = 0;
  while (NowNs() < until_ns) {
    AwaitAnswer(fd, ANSWER_TIMEOUT_MS);
    const ssize_t got = read(fd, value, answer_bytes - in_answer);
    if (got <= 0) Fail("read");
    received += (uint64_t)got;
    in_answer += (size_t)got;
    if (in_answer < answer_bytes) continue;
    in_answer = 0;
    WriteAll(fd, get, sizeof get - 1);
  }
  printf("%llu %.6f\n", (unsigned long long)received, SecondsSince(from_ns));
}

static void Spin(const char* address, const char* port, const char* rounds) {
  const int fd = Connected(SOCK_DGRAM, address, (uint16_t)atoi(port));
  const int64_t from_ns = NowNs();
  if (send(fd, rounds, strlen(rounds), 0) < 0) Fail("send");
  AwaitAnswer(fd, SPIN_TIMEOUT_MS);
  char answer[160];
  const ssize_t bytes = recv(fd, answer, sizeof answer, 0);
  if (bytes < 0) Fail("recv");
  printf("%.6f %.*s", SecondsSince(from_ns), (int)bytes, answer);
}

int main(int argc, char** argv) {
  const char* what = argc > 2 ? argv[1] : "";
  if (strcmp(what, "ping") == 0 && argc == 4) {
    Ping(argv[2], atoi(argv[3]));
  } else if (strcmp(what, "redis") == 0 && argc == 5) {
    Redis(argv[2], atoi(argv[3]), atoi(argv[4]));
  } else if (strcmp(what, "bulk") == 0 && argc == 4) {
    Bulk(argv[2], atoi(argv[3]));
  } else if (strcmp(what, "spin") == 0 && argc == 5) {
    Spin(argv[2], argv[3], argv[4]);
  } else {
    fprintf(stderr, "client: ping | redis | bulk | spin, see client.c\n");
    return 2;
  }
  return 0;
}
