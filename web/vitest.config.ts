import { defineConfig } from 'vitest/config';

// Two suites that share nothing: plain functions in Node, and the built UI in a real Chromium.
export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['src/**/*.test.ts'], environment: 'node' } },
      {
        test: {
          name: 'e2e',
          include: ['e2e/**/*.test.ts'],
          environment: 'node',
          testTimeout: 60_000,
          hookTimeout: 60_000,
          expect: { poll: { timeout: 10_000 } },
          // One browser at a time: the machines that run this have two cores.
          fileParallelism: false,
        },
      },
    ],
  },
});
