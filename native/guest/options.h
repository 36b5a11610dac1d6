// Command-line numbers and addresses of the guest programs, checked once, at start.
#pragma once

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The value after `name` ("--mib"), or `fallback`; ends the program on anything outside [min, max].
static inline uint64_t NumberOption(int argc, char** argv, const char* name, uint64_t fallback,
                                    uint64_t min, uint64_t max) {
  for (int i = 1; i + 1 < argc; i++) {
    if (strcmp(argv[i], name) != 0) continue;
    char* end = NULL;
    errno = 0;
    const uint64_t value = strtoull(argv[i + 1], &end, 10);
    if (errno == 0 && end != argv[i + 1] && *end == '\0' && value >= min && value <= max) return value;
    fprintf(stderr, "%s: %s wants a number from %llu to %llu, got '%s'\n", argv[0], name,
            (unsigned long long)min, (unsigned long long)max, argv[i + 1]);
    exit(2);
  }
  return fallback;
}

static inline const char* TextOption(int argc, char** argv, const char* name) {
  for (int i = 1; i + 1 < argc; i++) {
    if (strcmp(argv[i], name) == 0) return argv[i + 1];
  }
  return NULL;
}

static inline void Fail(const char* what) {
  perror(what);
  exit(1);
}
