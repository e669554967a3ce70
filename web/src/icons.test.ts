import { readdirSync, readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

it('every icon the UI names is copied by the build', () => {
  const root = new URL('.', import.meta.url).pathname;
  const copied = /"\{([^}]*)\}\.svg"/.exec(readFileSync(`${root}../angular.json`, 'utf8'))?.[1]?.split(',') ?? [];
  const named = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.ts') && !file.endsWith('.test.ts'))
    .flatMap(file => [...readFileSync(root + file, 'utf8').matchAll(/@tui\.([a-z0-9-]+)/g)].map(m => m[1]));
  expect(named.filter(icon => icon === undefined || !copied.includes(icon))).toEqual([]);
});
