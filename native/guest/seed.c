// Gives the kernel's random number generator its first 256 bits: 64 hexadecimal digits that the
// host chose for this boot. An emulated processor has no random instruction, and without a seed
// the kernel collects for 1.5 s, in which Redis waits at its start. For a laboratory guest only:
// the seed stands on the kernel's command line.
//
//   seed HEX

#include <fcntl.h>
#include <linux/random.h>
#include <sys/ioctl.h>

#include "options.h"

enum { SEED_BYTES = 32 };

int main(int argc, char** argv) {
  const char* hex = argc == 2 ? argv[1] : "";
  // The layout of random(4)'s struct rand_pool_info, whose own last member has no length.
  struct {
    int entropy_count;
    int buf_size;
    uint8_t buf[SEED_BYTES];
  } pool = {SEED_BYTES * 8, SEED_BYTES, {0}};
  _Static_assert(sizeof pool == sizeof(struct rand_pool_info) + SEED_BYTES, "no padding");
  if (strlen(hex) != SEED_BYTES * 2 || strspn(hex, "0123456789abcdef") != SEED_BYTES * 2) {
    fprintf(stderr, "seed: wants %d hexadecimal digits\n", SEED_BYTES * 2);
    return 2;
  }
  for (int i = 0; i < SEED_BYTES; i++) {
    const char digits[3] = {hex[2 * i], hex[2 * i + 1], '\0'};
    pool.buf[i] = (uint8_t)strtoul(digits, NULL, 16);
  }
  const int fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
  if (fd < 0) Fail("seed: /dev/urandom");
  if (ioctl(fd, RNDADDENTROPY, &pool) != 0) Fail("seed: RNDADDENTROPY");
  return 0;
}
