// A load for benchmarks: writes a given number of different pages per period, in turn through a
// block of memory, and a new value each time so that no write is without effect.
//
//   dirty --pages N --period-ms MS [--mib M]

#include <inttypes.h>
#include <sys/mman.h>
#include <time.h>

#include "options.h"

enum { PAGE_BYTES = 4096 };

int main(int argc, char** argv) {
  const uint64_t mib = NumberOption(argc, argv, "--mib", 64, 1, 1 << 20);
  const uint64_t pages = mib * (1024 * 1024 / PAGE_BYTES);
  const uint64_t per_period = NumberOption(argc, argv, "--pages", 2000, 1, pages);
  const uint64_t period_ms = NumberOption(argc, argv, "--period-ms", 10, 1, 60000);
  volatile uint8_t* memory =
      mmap(NULL, pages * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  if (memory == MAP_FAILED) Fail("dirty: mmap");
  printf("dirty: %" PRIu64 " pages every %" PRIu64 " ms\n", per_period, period_ms);
  fflush(stdout);

  const struct timespec period = {(time_t)(period_ms / 1000), (long)(period_ms % 1000) * 1000000L};
  uint64_t page = 0;
  for (uint64_t value = 1;; value++) {
    for (uint64_t i = 0; i < per_period; i++) {
      *(volatile uint64_t*)(memory + page * PAGE_BYTES) = value;
      page = (page + 1) % pages;
    }
    nanosleep(&period, NULL);
  }
}
