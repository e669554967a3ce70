import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import * as z from 'zod/mini';

const lockFile = z.object({
  packages: z.record(z.string(), z.object({ optionalDependencies: z.optional(z.record(z.string(), z.string())) })),
});

it('the lock file is whole: every optional part of every package is in it', () => {
  const text = readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8');
  const { packages } = lockFile.parse(JSON.parse(text));
  const known = new Set(Object.keys(packages).map(path => path.replace(/^.*node_modules\//, '')));
  const wanted = Object.values(packages).flatMap(p => Object.keys(p.optionalDependencies ?? {}));
  expect(wanted.filter(name => !known.has(name))).toEqual([]);
});

it('the lock file names no registry', () => {
  expect(readFileSync(new URL('../package-lock.json', import.meta.url), 'utf8')).not.toMatch(/"resolved": "https?:/);
});
