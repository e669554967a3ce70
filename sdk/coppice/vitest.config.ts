import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

export default defineConfig({
  // The template's tests run here, on the sources; in a project of its own they run on what is vendored.
  resolve: {
    alias: [
      { find: '@coppice/sdk/testing', replacement: here('src/testing/index.ts') },
      { find: '@coppice/sdk', replacement: here('src/index.ts') },
      { find: /^vitest$/, replacement: here('node_modules/vitest/dist/index.js') },
    ],
  },
  server: { fs: { allow: [here('..')] } },
  test: { include: ['test/**/*.test.ts', '../template/test/**/*.test.ts'], testTimeout: 10_000 },
});
