// A stand-in for QEMU in unit tests: a process with memory that is written on command.
//
//   understudy-scribbler KIND MIB     KIND: private | huge | shared | memfd (as descriptor 3)
//
// Prints "ADDRESS BYTES", then answers each line of stdin with one line:
//   w SEED COUNT     writes COUNT random pages (few distinct contents, some zero)   "ok"
//   p PAGE VALUE     fills one page with a byte                                     "ok"
//   r RUNS LENGTH    writes RUNS runs of LENGTH pages, spread over all of the memory      "ok"
//   z PAGE COUNT     gives pages back with MADV_DONTNEED                            "ok"
//   b BYTES PATH     writes BYTES of numbered lines to PATH, as a gate is written   "ok" | "failed
//   ERRNO"
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>

namespace {

constexpr size_t kPageBytes = 4096;
constexpr size_t kHugeBytes = 2 << 20;

uint8_t* Map(const std::string& kind, size_t bytes) {
  if (kind == "memfd") {
    const int fd = memfd_create("scribbler", MFD_CLOEXEC);
    if (fd != 3 || ftruncate(fd, static_cast<off_t>(bytes)) != 0) exit(1);
    void* const file = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (file == MAP_FAILED) exit(1);
    return static_cast<uint8_t*>(file);
  }
  const int flags = MAP_ANONYMOUS | (kind == "shared" ? MAP_SHARED : MAP_PRIVATE);
  void* const memory = mmap(nullptr, bytes + kHugeBytes, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (memory == MAP_FAILED) exit(1);
  const uintptr_t aligned =
      (reinterpret_cast<uintptr_t>(memory) + kHugeBytes - 1) & ~(kHugeBytes - 1);
  madvise(reinterpret_cast<void*>(aligned), bytes,
          kind == "huge" ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
  return reinterpret_cast<uint8_t*>(aligned);
}

void WriteRandomPages(uint8_t* memory, size_t pages, uint64_t seed, size_t count) {
  std::mt19937_64 random(seed);
  for (size_t i = 0; i < count; ++i) {
    uint8_t* const page = memory + random() % pages * kPageBytes;
    const uint64_t kind = random() % 8;
    if (kind == 0) {
      memset(page, 0, kPageBytes);
    } else if (kind == 1) {
      // Same content as many others, or as before.
      memset(page, 0x55, kPageBytes);
    } else {
      const uint64_t word = random();
      memcpy(page + random() % (kPageBytes / 8) * 8, &word, sizeof word);
    }
  }
}

void WriteRuns(uint8_t* memory, size_t pages, size_t runs, size_t length) {
  static uint64_t round = 0;
  ++round;
  for (size_t run = 0; run < runs; ++run) {
    for (size_t i = 0; i < length; ++i) {
      const size_t page = (run * (pages / runs) + i) % pages;
      memcpy(memory + page * kPageBytes + round % 512 * 8, &round, sizeof round);
    }
  }
}

// QEMU writes its device state in blocks of this size (migration/qemu-file.c, IO_BUF_SIZE).
int WriteBlob(const std::string& path, size_t bytes) {
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0660);
  if (fd < 0) return errno;
  std::string block;
  size_t sent = 0;
  int failure = 0;
  for (uint64_t line = 0; sent < bytes && failure == 0;) {
    block.clear();
    while (block.size() < 32768 && sent + block.size() < bytes)
      block += std::to_string(line++) + "\n";
    block.resize(std::min(block.size(), bytes - sent));
    for (size_t at = 0; at < block.size();) {
      const ssize_t wrote = write(fd, block.data() + at, block.size() - at);
      if (wrote < 0) {
        failure = errno;
        break;
      }
      at += static_cast<size_t>(wrote);
    }
    sent += block.size();
  }
  close(fd);
  return failure;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  signal(SIGPIPE, SIG_IGN);
  const size_t bytes = strtoull(argv[2], nullptr, 10) << 20;
  uint8_t* const memory = Map(argv[1], bytes);
  const size_t pages = bytes / kPageBytes;
  printf("%" PRIuPTR " %zu\n", reinterpret_cast<uintptr_t>(memory), bytes);
  fflush(stdout);
  char line[4400];
  while (fgets(line, sizeof line, stdin)) {
    char path[4096] = "";
    uint64_t first = 0, second = 0;
    int failure = 0;
    if (sscanf(line, "w %" SCNu64 " %" SCNu64, &first, &second) == 2) {
      WriteRandomPages(memory, pages, first, second);
    } else if (sscanf(line, "p %" SCNu64 " %" SCNu64, &first, &second) == 2 && first < pages) {
      memset(memory + first * kPageBytes, static_cast<int>(second), kPageBytes);
    } else if (sscanf(line, "r %" SCNu64 " %" SCNu64, &first, &second) == 2 && first > 0) {
      WriteRuns(memory, pages, first, second);
    } else if (sscanf(line, "z %" SCNu64 " %" SCNu64, &first, &second) == 2 &&
               first + second <= pages) {
      failure =
          madvise(memory + first * kPageBytes, second * kPageBytes, MADV_DONTNEED) ? errno : 0;
    } else if (sscanf(line, "b %" SCNu64 " %4095s", &first, path) == 2) {
      failure = WriteBlob(path, first);
    } else {
      return 2;
    }
    if (failure)
      printf("failed %d\n", failure);
    else
      printf("ok\n");
    fflush(stdout);
  }
  return 0;
}
