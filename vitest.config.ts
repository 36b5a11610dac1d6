import { defineConfig } from 'vitest/config';

const serial = { fileParallelism: false, maxWorkers: 1, pool: 'forks' as const };

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 10_000 } },
      {
        test: {
          name: 'integration',
          include: ['test/integration/**/*.test.ts'],
          testTimeout: 240_000,
          hookTimeout: 240_000,
          ...serial,
        },
      },
      {
        test: {
          name: 'chaos',
          include: ['test/chaos/**/*.test.ts'],
          testTimeout: 900_000,
          hookTimeout: 120_000,
          ...serial,
        },
      },
      {
        test: {
          name: 'ansible',
          include: ['test/ansible/**/*.test.ts'],
          testTimeout: 600_000,
          hookTimeout: 900_000,
          bail: 1,
          ...serial,
        },
      },
    ],
  },
});
