// The disk verifier: keeps in memory what every block of a disk must hold, forever writes stamps to
// random places with O_DIRECT, and forever reads blocks back and compares them.
//
// What must be on the disk is part of every memory checkpoint. A write that the disk lost, kept from a
// later epoch, tore or put elsewhere shows up as a block that is not what memory says. Each disk has
// one thread that writes and checks, so a mismatch is never a race of our own.
//
//   diskstamp --disks vda,vdb [--mib N] [--writes W] [--tick-ms MS] [--port P]
//
// The first N MiB of each disk are used. Per tick and disk W writes are made (4 KiB, runs of up to
// 64 KiB, O_DSYNC, zeroes, discards), the blocks under them and W more checked at random, and W runs in
// turn. Any UDP datagram to the port is answered with "WRITES CHECKS MISMATCHES UPTIME_S".

#define _GNU_SOURCE  // O_DIRECT

#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stamp.h"
#include "udp.h"

enum {
  BLOCK_BYTES = 4096,
  RUN_BLOCKS_MAX = 16,
  RUN_BYTES_MAX = RUN_BLOCKS_MAX * BLOCK_BYTES,
  DISKS_MAX = 8,
  // The console is slow and the first lines tell the story; all are counted.
  MISMATCH_LINES_MAX = 100,
};

// What a block must hold: the generation of its stamp, or one of these.
static const uint64_t ANYTHING = 0;
static const uint64_t ZEROES = UINT64_MAX;

typedef struct {
  uint64_t disk;
  uint64_t block;
  uint64_t generation;
  uint64_t checksum;
} Stamp;

typedef struct {
  char path[64];
  uint64_t number;
  int fd;
  int dsync_fd;
  uint64_t* expected;
  uint64_t generation;
  uint64_t random;
  uint64_t turn;
  uint8_t* run;   // RUN_BYTES_MAX, what goes to and comes from the disk
  uint8_t* image;  // BLOCK_BYTES, what one block must be
} Disk;

static uint64_t blocks;
static uint64_t writes_per_tick;
static uint64_t tick_ms;

static _Atomic uint64_t writes;
static _Atomic uint64_t checks;
static _Atomic uint64_t mismatches;

// A stamp at each end and a pattern between them: whatever part of a block is not its own differs.
static void FillBlock(uint8_t* into, uint64_t disk, uint64_t block, uint64_t generation) {
  if (generation == ZEROES) {
    memset(into, 0, BLOCK_BYTES);
    return;
  }
  const uint64_t seed = Mix(Mix(generation) + block * DISKS_MAX + disk);
  uint64_t* words = (uint64_t*)into;
  for (uint64_t i = 0; i < BLOCK_BYTES / sizeof *words; i++) words[i] = seed * (2 * i + 1);
  const Stamp head = {disk, block, generation, seed};
  const Stamp tail = {disk, block, generation, ~seed};
  memcpy(into, &head, sizeof head);
  memcpy(into + BLOCK_BYTES - sizeof tail, &tail, sizeof tail);
}

static void Transfer(const Disk* disk, int fd, uint64_t block, uint64_t count, int is_write) {
  const size_t bytes = count * BLOCK_BYTES;
  const off_t at = (off_t)(block * BLOCK_BYTES);
  const ssize_t done = is_write ? pwrite(fd, disk->run, bytes, at) : pread(fd, disk->run, bytes, at);
  if (done == (ssize_t)bytes) return;
  if (done >= 0) errno = EIO;
  fprintf(stderr, "diskstamp: %s: %s of %" PRIu64 " blocks at %" PRIu64 "\n", disk->path,
          is_write ? "write" : "read", count, block);
  Fail("diskstamp");
}

static void WriteRun(Disk* disk, int fd, uint64_t block, uint64_t count, uint64_t generation) {
  for (uint64_t i = 0; i < count; i++) {
    FillBlock(disk->run + i * BLOCK_BYTES, disk->number, block + i, generation);
    disk->expected[block + i] = generation;
  }
  Transfer(disk, fd, block, count, 1);
}

static void ReportMismatch(const Disk* disk, uint64_t block, const uint8_t* found) {
  const uint64_t nth = atomic_fetch_add(&mismatches, 1) + 1;
  if (nth > MISMATCH_LINES_MAX) return;
  Stamp ends[2];
  memcpy(&ends[0], found, sizeof ends[0]);
  memcpy(&ends[1], found + BLOCK_BYTES - sizeof ends[1], sizeof ends[1]);
  const uint64_t expected = disk->expected[block];
  char wanted[32] = "zeroes";
  if (expected != ZEROES) snprintf(wanted, sizeof wanted, "generation %" PRIu64, expected);
  for (int tail = 0; tail < 2; tail++) {
    printf("diskstamp: mismatch %" PRIu64 ": %s block %" PRIu64 " %s holds disk %" PRIu64 " block %" PRIu64
           " generation %" PRIu64 ", expected %s\n",
           nth, disk->path, block, tail ? "tail" : "head", ends[tail].disk, ends[tail].block,
           ends[tail].generation, wanted);
  }
  fflush(stdout);
}

static void CheckRun(Disk* disk, uint64_t block, uint64_t count) {
  uint8_t is_wrong[RUN_BLOCKS_MAX] = {0};
  Transfer(disk, disk->fd, block, count, 0);
  for (uint64_t i = 0; i < count; i++) {
    const uint64_t expected = disk->expected[block + i];
    const uint8_t* found = disk->run + i * BLOCK_BYTES;
    if (expected == ANYTHING) continue;
    atomic_fetch_add_explicit(&checks, 1, memory_order_relaxed);
    FillBlock(disk->image, disk->number, block + i, expected);
    if (memcmp(found, disk->image, BLOCK_BYTES) == 0) continue;
    ReportMismatch(disk, block + i, found);
    is_wrong[i] = 1;
  }
  // Counted once: the block is made right again, so that a second fault is seen as one.
  for (uint64_t i = 0; i < count; i++) {
    if (is_wrong[i]) WriteRun(disk, disk->fd, block + i, 1, disk->expected[block + i]);
  }
}

// `expected` holds afterwards, unless the device has no such request: then nothing was changed.
static void ChangeRange(Disk* disk, unsigned long request, uint64_t block, uint64_t count, uint64_t expected) {
  uint64_t range[2] = {block * BLOCK_BYTES, count * BLOCK_BYTES};
  if (ioctl(disk->fd, request, range) != 0) {
    if (errno == EOPNOTSUPP) return;
    fprintf(stderr, "diskstamp: %s: %s of %" PRIu64 " blocks at %" PRIu64 "\n", disk->path,
            request == BLKDISCARD ? "discard" : "zeroes", count, block);
    Fail("diskstamp");
  }
  for (uint64_t i = 0; i < count; i++) disk->expected[block + i] = expected;
}

static void WriteSomewhere(Disk* disk) {
  const uint64_t dice = NextRandom(&disk->random) % 16;
  const uint64_t count = dice < 10 ? 1 : 2 + NextRandom(&disk->random) % (RUN_BLOCKS_MAX - 1);
  const uint64_t block = NextRandom(&disk->random) % (blocks - count + 1);
  CheckRun(disk, block, count);
  disk->generation++;
  if (dice == 14) {
    ChangeRange(disk, BLKZEROOUT, block, count, ZEROES);
  } else if (dice == 15) {
    // What a discarded block reads as is the device's choice, and may differ from host to host.
    ChangeRange(disk, BLKDISCARD, block, count, ANYTHING);
  } else {
    const int is_dsync = dice == 9 || dice == 13;
    WriteRun(disk, is_dsync ? disk->dsync_fd : disk->fd, block, count, disk->generation);
  }
  atomic_fetch_add_explicit(&writes, 1, memory_order_relaxed);
}

static uint64_t RunAt(uint64_t block) {
  return blocks - block < RUN_BLOCKS_MAX ? blocks - block : RUN_BLOCKS_MAX;
}

static void* Work(void* argument) {
  Disk* disk = argument;
  const struct timespec tick = {(time_t)(tick_ms / 1000), (long)(tick_ms % 1000) * 1000000L};
  disk->generation = 1;
  for (uint64_t block = 0; block < blocks; block += RUN_BLOCKS_MAX) {
    WriteRun(disk, disk->fd, block, RunAt(block), disk->generation);
  }
  for (;;) {
    for (uint64_t i = 0; i < writes_per_tick; i++) {
      WriteSomewhere(disk);
      CheckRun(disk, NextRandom(&disk->random) % blocks, 1);
      CheckRun(disk, disk->turn, RunAt(disk->turn));
      disk->turn = disk->turn + RUN_BLOCKS_MAX < blocks ? disk->turn + RUN_BLOCKS_MAX : 0;
    }
    nanosleep(&tick, NULL);
  }
  return NULL;
}

// Locked, so that what memory says never comes from a disk.
static void* MapLocked(uint64_t bytes) {
  void* mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE | MAP_LOCKED, -1, 0);
  if (mapped == MAP_FAILED) Fail("diskstamp: mmap");
  return mapped;
}

static void OpenDisk(Disk* disk, const char* name, uint64_t number) {
  snprintf(disk->path, sizeof disk->path, "/dev/%s", name);
  disk->number = number;
  disk->random = Mix(number + 1);
  disk->fd = open(disk->path, O_RDWR | O_DIRECT | O_CLOEXEC);
  disk->dsync_fd = open(disk->path, O_RDWR | O_DIRECT | O_DSYNC | O_CLOEXEC);
  if (disk->fd < 0 || disk->dsync_fd < 0) Fail(disk->path);
  uint64_t bytes = 0;
  if (ioctl(disk->fd, BLKGETSIZE64, &bytes) != 0) Fail(disk->path);
  if (bytes / BLOCK_BYTES < blocks) {
    fprintf(stderr, "diskstamp: %s has %" PRIu64 " bytes, fewer than --mib\n", disk->path, bytes);
    exit(2);
  }
  disk->expected = MapLocked(blocks * sizeof *disk->expected);
  disk->run = MapLocked(RUN_BYTES_MAX);
  disk->image = MapLocked(BLOCK_BYTES);
}

static void Serve(int fd) {
  for (;;) {
    const Question question = NextQuestion(fd);
    char line[ANSWER_BYTES];
    PrintReport(line, sizeof line, atomic_load(&writes), atomic_load(&checks), atomic_load(&mismatches));
    Answer(&question, line);
  }
}

int main(int argc, char** argv) {
  static Disk disks[DISKS_MAX];
  char names[256] = "";
  const char* option = TextOption(argc, argv, "--disks");
  const uint64_t mib = NumberOption(argc, argv, "--mib", 32, 1, 1 << 20);
  writes_per_tick = NumberOption(argc, argv, "--writes", 2, 0, 1 << 20);
  tick_ms = NumberOption(argc, argv, "--tick-ms", 10, 1, 10000);
  const uint16_t port = (uint16_t)NumberOption(argc, argv, "--port", 7003, 1, 65535);
  blocks = mib * (1024 * 1024 / BLOCK_BYTES);

  uint64_t count = 0;
  if (option) snprintf(names, sizeof names, "%s", option);
  for (char* name = strtok(names, ","); name && count < DISKS_MAX; name = strtok(NULL, ",")) {
    OpenDisk(&disks[count], name, count);
    count++;
  }
  if (count == 0) {
    fprintf(stderr, "diskstamp: --disks wants names such as vda,vdb\n");
    exit(2);
  }
  const int fd = ListenUdp(port);
  for (uint64_t i = 0; i < count; i++) {
    pthread_t thread;
    const int error = pthread_create(&thread, NULL, Work, &disks[i]);
    if (error != 0) {
      errno = error;
      Fail("diskstamp: pthread_create");
    }
  }
  printf("diskstamp: %" PRIu64 " disks, %" PRIu64 " blocks each, udp port %u\n", count, blocks, port);
  fflush(stdout);
  Serve(fd);
  return 0;
}
