/** Says what is wrong with a bundle, before a host does. */
import { existsSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { parseRange, parseVersion } from '../exver.js';

const FUNCTIONS = ['init', 'uninit', 'main', 'createBackup'];
const TEXTS = ['id', 'title', 'version', 'license', 'upstreamRepo', 'packageRepo'];
/** A host that reads summaries in lists asks for no more. */
const SHORT = 160;

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null;

/** Everything that is wrong with the bundle in `folder`, in sentences that say what to do. */
export function checkBundle(folder: string): readonly string[] {
  const path = resolve(folder, 'index.js');
  if (!existsSync(path)) return [`there is no ${path}: build the package first`];
  let loaded: unknown;
  try {
    loaded = createRequire(path)(path);
  } catch (error) {
    return [`the bundle cannot be loaded: ${error instanceof Error ? error.message : String(error)}`];
  }
  if (!isRecord(loaded)) return ['the bundle exports nothing: export what `build` gives'];
  const wrong = FUNCTIONS.filter(name => typeof loaded[name] !== 'function').map(name => `it does not export the function \`${name}\``);
  const { actions, manifest } = loaded;
  if (!isRecord(actions) || typeof actions['get'] !== 'function') wrong.push('it does not export `actions`');
  if (!isRecord(manifest)) return [...wrong, 'it does not export `manifest`'];
  return [...wrong, ...checkManifest(manifest)];
}

function checkManifest(manifest: Readonly<Record<string, unknown>>): readonly string[] {
  const wrong: string[] = [];
  for (const name of TEXTS) {
    if (typeof manifest[name] !== 'string' || manifest[name] === '') wrong.push(`manifest: \`${name}\` is missing`);
  }
  const readable = (name: string, read: (text: string) => unknown): void => {
    try {
      read(String(manifest[name]));
    } catch (error) {
      wrong.push(`manifest: \`${name}\`: ${error instanceof Error ? error.message : String(error)}`);
    }
  };
  readable('version', parseVersion);
  readable('canMigrateFrom', parseRange);
  readable('canMigrateTo', parseRange);
  const { description } = manifest;
  const short = isRecord(description) ? description['short'] : undefined;
  const all = typeof short === 'string' ? [short] : isRecord(short) ? Object.values(short) : [];
  if (all.length === 0) wrong.push('manifest: `description.short` is missing');
  if (all.some(text => String(text).length > SHORT)) wrong.push(`manifest: \`description.short\` is longer than ${SHORT} characters`);
  return wrong;
}

/** Everything that the project folder lacks for being packed. */
export function checkProject(folder: string): readonly string[] {
  const names = readdirSync(folder);
  const wrong: string[] = [];
  const icons = names.filter(name => /^icon\./i.test(name));
  if (icons.length !== 1) wrong.push(icons.length === 0 ? 'there is no icon: put an `icon.svg` beside package.json' : `there are several icons: ${icons.join(', ')}`);
  if (!names.some(name => /^license(\.|$)/i.test(name))) wrong.push('there is no licence: put a `LICENSE.md` beside package.json');
  if (!existsSync(join(folder, 'instructions.md'))) wrong.push('there are no instructions: put an `instructions.md` beside package.json');
  return wrong;
}
