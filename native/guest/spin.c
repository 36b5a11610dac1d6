// A load for benchmarks that needs the processor alone: works a given number of rounds when it is asked to.
//
//   spin [--port P]
//
// Question: "ROUNDS", millions of steps; the answer comes after them: "ROUNDS SECONDS BIT", by the guest’s clock.
// A step reads and writes one word of a table that fits into a processor’s cache.

#include <inttypes.h>
#include <time.h>

#include "udp.h"

enum {
  TABLE_WORDS = 1 << 15,
  STEPS_PER_ROUND = 1000 * 1000,
  ROUNDS_MAX = 1000 * 1000,
};

static uint64_t table[TABLE_WORDS];
static uint64_t state = 1;

static double NowS(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void WorkOneRound(void) {
  for (int step = 0; step < STEPS_PER_ROUND; step++) {
    // The generator of POSIX's drand48: the next state is the next place.
    state = state * 0x5deece66dULL + 0xb;
    table[state >> 17 & (TABLE_WORDS - 1)] += state;
  }
}

int main(int argc, char** argv) {
  const uint16_t port = (uint16_t)NumberOption(argc, argv, "--port", 7010, 1, 65535);
  const int fd = ListenUdp(port);
  printf("spin: udp port %u\n", port);
  fflush(stdout);
  for (;;) {
    const Question question = NextQuestion(fd);
    char line[ANSWER_BYTES] = "error: wants ROUNDS\n";
    const long rounds = atol(question.text);
    if (rounds >= 1 && rounds <= ROUNDS_MAX) {
      const double from_s = NowS();
      for (long round = 0; round < rounds; round++) WorkOneRound();
      // The table is told of, so that no compiler leaves the work out.
      snprintf(line, sizeof line, "%ld %.6f %" PRIu64 "\n", rounds, NowS() - from_s, table[0] & 1);
    }
    Answer(&question, line);
  }
}
