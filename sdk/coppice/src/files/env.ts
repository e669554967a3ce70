/** Settings as `NAME=value` lines, as programs and shells read them. */
import type { Schema } from '../schema.js';
import type { VolumeFile } from '../volume.js';
import { FileModel, type Format } from './model.js';

const env: Format = {
  parse(text) {
    const values: Record<string, string> = {};
    for (const line of text.split('\n')) {
      if (line.trim() === '' || line.trimStart().startsWith('#')) continue;
      const at = line.indexOf('=');
      if (at > 0) values[line.slice(0, at).trim()] = line.slice(at + 1).replace(/\r$/, '');
    }
    return values;
  },
  stringify(value) {
    if (typeof value !== 'object' || value === null) throw new Error('an env file holds names and values');
    const lines = Object.entries(value).filter(([, one]) => one !== undefined && one !== null);
    return lines.map(([name, one]) => `${name}=${line(name, one)}\n`).join('');
  },
};

function line(name: string, value: unknown): string {
  if (typeof value !== 'string' && typeof value !== 'number' && typeof value !== 'boolean') {
    throw new Error(`\`${name}\` is no text, number or truth: an env file holds nothing else`);
  }
  const text = String(value);
  if (/[\n\r\0]/.test(text)) throw new Error(`\`${name}\` has a line end: an env file holds one line per value`);
  return text;
}

/**
 * A file of `NAME=value` lines. Values are taken as they stand: there is no quoting.
 *
 * @example
 * ```ts
 * import { envFile, shape } from '@coppice/sdk';
 * import { hello } from './package.js';
 *
 * const config = envFile(hello.volume('main').file('hello.conf'), shape.object({ greeting: shape.string({ min: 1 }).or('Hi') }));
 * await config.merge({ greeting: 'Good morning' });
 * ```
 */
export function envFile<T>(file: VolumeFile, schema: Schema<T>): FileModel<T> {
  return new FileModel(file, schema, env);
}
