// A load for benchmarks: works on a disk with O_DIRECT in one of five ways, when it is asked to.
//
//   diskload --disk vda [--mib N] [--port P]
//
// Question: "MODE SECONDS [ID]"; the answer comes after the run: "COUNT SECONDS P50_US P99_US
// MB_PER_S", or "error: WHY". A question with an ID that repeats the last one is answered again
// without a second run, so that an asker may repeat what could have been lost.
//
//   randwrite   4 KiB at random places, one at a time
//   dsync       the same with O_DSYNC
//   randwrite8  the same as randwrite from eight threads
//   seqwrite    1 MiB in turn
//   trim        discards 1 MiB in turn

#define _GNU_SOURCE  // O_DIRECT

#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "stamp.h"
#include "udp.h"

enum {
  THREADS_MAX = 8,
  SECONDS_MAX = 600,
  SMALL_BYTES = 4096,
  LARGE_BYTES = 1024 * 1024,
  // Latencies are counted in buckets of 1/32 of their power of two, in nanoseconds.
  BUCKET_BITS = 5,
  BUCKETS = 64 << BUCKET_BITS,
};

static const uint64_t NS_PER_S = 1000000000ULL;

typedef struct {
  const char* name;
  size_t bytes;
  int threads;
  int flags;
  int is_sequential;
  int is_trim;
} Mode;

static const Mode MODES[] = {
    {"randwrite", SMALL_BYTES, 1, 0, 0, 0},
    {"dsync", SMALL_BYTES, 1, O_DSYNC, 0, 0},
    {"randwrite8", SMALL_BYTES, THREADS_MAX, 0, 0, 0},
    {"seqwrite", LARGE_BYTES, 1, 0, 1, 0},
    {"trim", LARGE_BYTES, 1, 0, 1, 1},
};

typedef struct {
  const Mode* mode;
  uint64_t until_ns;
  uint64_t random;
  uint8_t* data;
  uint64_t count;
  int error;
  uint64_t buckets[BUCKETS];
} Writer;

static char path[64];
static uint64_t region_bytes;

static uint64_t NowNs(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static size_t BucketOf(uint64_t ns) {
  if (ns < 1u << BUCKET_BITS) return ns;
  const int shift = 63 - __builtin_clzll(ns) - BUCKET_BITS;
  return ((size_t)shift << BUCKET_BITS) + (size_t)(ns >> shift);
}

// The middle of a bucket, ns.
static double BucketNs(size_t bucket) {
  const size_t shift = bucket >> BUCKET_BITS ? (bucket >> BUCKET_BITS) - 1 : 0;
  const uint64_t low = (bucket - (shift << BUCKET_BITS)) << shift;
  return (double)low + (double)(1ULL << shift) / 2;
}

// As pwrite(2) answers.
static ssize_t Trim(int fd, uint64_t offset, size_t bytes) {
  const uint64_t range[2] = {offset, bytes};
  return ioctl(fd, BLKDISCARD, range) == 0 ? (ssize_t)bytes : -1;
}

static void* Write(void* argument) {
  Writer* writer = argument;
  const Mode* mode = writer->mode;
  const int fd = open(path, O_WRONLY | O_DIRECT | O_CLOEXEC | mode->flags);
  if (fd < 0) {
    writer->error = errno;
    return NULL;
  }
  const uint64_t places = region_bytes / mode->bytes;
  uint64_t before_ns = NowNs();
  while (before_ns < writer->until_ns) {
    const uint64_t place = mode->is_sequential ? writer->count % places : NextRandom(&writer->random) % places;
    // New content each time, so that no write is without effect.
    *(volatile uint64_t*)writer->data = NextRandom(&writer->random);
    const ssize_t done = mode->is_trim ? Trim(fd, place * mode->bytes, mode->bytes)
                                       : pwrite(fd, writer->data, mode->bytes, (off_t)(place * mode->bytes));
    if (done != (ssize_t)mode->bytes) {
      writer->error = done < 0 ? errno : EIO;
      break;
    }
    const uint64_t after_ns = NowNs();
    writer->buckets[BucketOf(after_ns - before_ns)]++;
    writer->count++;
    before_ns = after_ns;
  }
  close(fd);
  return NULL;
}

// The latency that `part` of all writes did not exceed, µs.
static double Percentile(const Writer* writers, int threads, uint64_t count, double part) {
  const uint64_t wanted = (uint64_t)((double)count * part);
  uint64_t seen = 0;
  for (size_t bucket = 0; bucket < BUCKETS; bucket++) {
    for (int i = 0; i < threads; i++) seen += writers[i].buckets[bucket];
    if (seen > wanted) return BucketNs(bucket) / 1000;
  }
  return 0;
}

static void Run(Writer* writers, const Mode* mode, uint64_t seconds, char* line, size_t bytes) {
  const uint64_t from_ns = NowNs();
  pthread_t threads[THREADS_MAX];
  int started = 0;
  int error = 0;
  for (; started < mode->threads && error == 0; started++) {
    Writer* writer = &writers[started];
    *writer = (Writer){.mode = mode, .until_ns = from_ns + seconds * NS_PER_S,
                       .random = Mix(from_ns + (uint64_t)started), .data = writer->data};
    error = pthread_create(&threads[started], NULL, Write, writer);
    if (error != 0) break;
  }
  uint64_t count = 0;
  for (int i = 0; i < started; i++) {
    pthread_join(threads[i], NULL);
    count += writers[i].count;
    if (writers[i].error != 0) error = writers[i].error;
  }
  const double took_s = (double)(NowNs() - from_ns) / (double)NS_PER_S;
  if (error != 0) {
    snprintf(line, bytes, "error: %s: %s\n", path, strerror(error));
    return;
  }
  snprintf(line, bytes, "%" PRIu64 " %.3f %.1f %.1f %.3f\n", count, took_s, Percentile(writers, started, count, 0.5),
           Percentile(writers, started, count, 0.99), (double)(count * mode->bytes) / took_s / 1e6);
}

static void AnswerQuestion(Writer* writers, const char* text, char* line, size_t bytes) {
  char name[QUESTION_BYTES];
  unsigned seconds = 0;
  if (sscanf(text, "%63s %u", name, &seconds) == 2 && seconds >= 1 && seconds <= SECONDS_MAX) {
    for (size_t i = 0; i < sizeof MODES / sizeof *MODES; i++) {
      if (strcmp(MODES[i].name, name) != 0) continue;
      Run(writers, &MODES[i], seconds, line, bytes);
      return;
    }
  }
  snprintf(line, bytes, "error: wants MODE SECONDS [ID]\n");
}

static int HasId(const char* text) {
  char id[QUESTION_BYTES];
  return sscanf(text, "%*s %*s %63s", id) == 1;
}

int main(int argc, char** argv) {
  const char* disk = TextOption(argc, argv, "--disk");
  const uint64_t mib = NumberOption(argc, argv, "--mib", 64, 1, 1 << 20);
  const uint16_t port = (uint16_t)NumberOption(argc, argv, "--port", 7004, 1, 65535);
  region_bytes = mib * 1024 * 1024;
  snprintf(path, sizeof path, "/dev/%s", disk ? disk : "vda");
  const int device = open(path, O_RDONLY | O_CLOEXEC);
  uint64_t device_bytes = 0;
  if (device < 0 || ioctl(device, BLKGETSIZE64, &device_bytes) != 0) Fail(path);
  close(device);
  if (device_bytes < region_bytes) {
    fprintf(stderr, "diskload: %s has %" PRIu64 " bytes, fewer than --mib\n", path, device_bytes);
    exit(2);
  }

  static Writer writers[THREADS_MAX];
  for (int i = 0; i < THREADS_MAX; i++) {
    writers[i].data = mmap(NULL, LARGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (writers[i].data == MAP_FAILED) Fail("diskload: mmap");
    for (size_t at = 0; at < LARGE_BYTES; at += sizeof(uint64_t)) {
      *(uint64_t*)(writers[i].data + at) = Mix(at + (uint64_t)i);
    }
  }
  const int fd = ListenUdp(port);
  printf("diskload: %s, %" PRIu64 " MiB, udp port %u\n", path, mib, port);
  fflush(stdout);

  char last[QUESTION_BYTES] = "";
  char line[ANSWER_BYTES] = "";
  for (;;) {
    const Question question = NextQuestion(fd);
    if (!HasId(question.text) || strcmp(question.text, last) != 0) {
      AnswerQuestion(writers, question.text, line, sizeof line);
      memcpy(last, question.text, sizeof last);
    }
    Answer(&question, line);
  }
}
