// The memory verifier: keeps a stamp in every page of a block of memory, forever rewrites
// random pages with a new generation, and forever checks all of them against a shadow table
// that lies elsewhere in memory.
//
// A checkpoint that lost one page's write, mixed two epochs or tore a page shows up as a stamp
// whose generation is not the shadow table's. Each thread owns the pages whose index is
// congruent to its number, so writer and checker of a page are the same thread and a mismatch is
// never a race of our own.
//
//   memstamp --mib N [--threads T] [--writes W] [--tick-ms MS] [--port P]
//
// W pages are rewritten and 4 W checked in turn plus W at random, per thread and tick. Any UDP
// datagram to the port is answered with one line: "GENERATION CHECKS MISMATCHES UPTIME_S".

#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "stamp.h"
#include "udp.h"

enum {
  PAGE_BYTES = 4096,
  THREADS_MAX = 8,
  IN_TURN_PER_WRITE = 4,
  // The console is slow and the first lines tell the story; all are counted.
  MISMATCH_LINES_MAX = 100,
};

typedef struct {
  uint64_t page;
  uint64_t generation;
  uint64_t checksum;
} Stamp;

typedef struct {
  uint64_t index;
  uint64_t random;
} Worker;

static uint8_t* memory;
static uint64_t* shadow;
static uint64_t pages;
static uint64_t threads;
static uint64_t writes_per_tick;
static uint64_t tick_ms;

static _Atomic uint64_t generations;
static _Atomic uint64_t checks;
static _Atomic uint64_t mismatches;

// One at each end of the page: a torn copy has two that differ.
static Stamp* StampAt(uint64_t page, int tail) {
  return (Stamp*)(memory + page * PAGE_BYTES + (tail ? PAGE_BYTES - sizeof(Stamp) : 0));
}

static uint64_t Checksum(uint64_t page, uint64_t generation, int tail) {
  return Mix(page * 2 + (uint64_t)tail + Mix(generation));
}

static void WritePage(uint64_t page, uint64_t generation) {
  for (int tail = 0; tail < 2; tail++) {
    *StampAt(page, tail) = (Stamp){page, generation, Checksum(page, generation, tail)};
  }
  shadow[page] = generation;
}

static void CheckPage(uint64_t page) {
  const uint64_t expected = shadow[page];
  atomic_fetch_add_explicit(&checks, 1, memory_order_relaxed);
  for (int tail = 0; tail < 2; tail++) {
    const Stamp* stamp = StampAt(page, tail);
    if (stamp->page == page && stamp->generation == expected &&
        stamp->checksum == Checksum(page, expected, tail)) {
      continue;
    }
    const uint64_t nth = atomic_fetch_add(&mismatches, 1) + 1;
    if (nth <= MISMATCH_LINES_MAX) {
      printf("memstamp: mismatch %" PRIu64 ": page %" PRIu64 " %s holds page %" PRIu64
             " generation %" PRIu64 ", expected generation %" PRIu64 "\n",
             nth, page, tail ? "tail" : "head", stamp->page, stamp->generation, expected);
      fflush(stdout);
    }
    // Counted once: the page is made right again, so that a second fault is seen as one.
    WritePage(page, expected);
    return;
  }
}

static void* Work(void* argument) {
  Worker* worker = argument;
  const uint64_t own = (pages - worker->index + threads - 1) / threads;
  const struct timespec tick = {(time_t)(tick_ms / 1000), (long)(tick_ms % 1000) * 1000000L};
  uint64_t turn = 0;
  for (;;) {
    for (uint64_t i = 0; i < writes_per_tick; i++) {
      const uint64_t page = worker->index + NextRandom(&worker->random) % own * threads;
      CheckPage(page);
      WritePage(page, shadow[page] + 1);
      atomic_fetch_add_explicit(&generations, 1, memory_order_relaxed);
    }
    for (uint64_t i = 0; i < writes_per_tick * IN_TURN_PER_WRITE; i++) {
      CheckPage(worker->index + turn * threads);
      turn = (turn + 1) % own;
    }
    nanosleep(&tick, NULL);
  }
  return NULL;
}

static void* MapBytes(uint64_t bytes) {
  void* mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (mapped == MAP_FAILED) Fail("memstamp: mmap");
  return mapped;
}

static void Serve(int fd) {
  for (;;) {
    const Question question = NextQuestion(fd);
    char line[ANSWER_BYTES];
    PrintReport(line, sizeof line, atomic_load(&generations), atomic_load(&checks), atomic_load(&mismatches));
    Answer(&question, line);
  }
}

int main(int argc, char** argv) {
  const uint64_t mib = NumberOption(argc, argv, "--mib", 64, 1, 1 << 20);
  threads = NumberOption(argc, argv, "--threads", 1, 1, THREADS_MAX);
  writes_per_tick = NumberOption(argc, argv, "--writes", 40, 0, 1 << 20);
  tick_ms = NumberOption(argc, argv, "--tick-ms", 10, 1, 10000);
  const uint16_t port = (uint16_t)NumberOption(argc, argv, "--port", 7001, 1, 65535);

  pages = mib * (1024 * 1024 / PAGE_BYTES);
  memory = MapBytes(pages * PAGE_BYTES);
  shadow = MapBytes(pages * sizeof *shadow);
  for (uint64_t page = 0; page < pages; page++) WritePage(page, 1);

  const int fd = ListenUdp(port);
  static Worker workers[THREADS_MAX];
  for (uint64_t i = 0; i < threads; i++) {
    workers[i] = (Worker){i, Mix(i + 1)};
    pthread_t thread;
    const int error = pthread_create(&thread, NULL, Work, &workers[i]);
    if (error != 0) {
      errno = error;
      Fail("memstamp: pthread_create");
    }
  }
  printf("memstamp: %" PRIu64 " pages, %" PRIu64 " threads, udp port %u\n", pages, threads, port);
  fflush(stdout);
  Serve(fd);
  return 0;
}
