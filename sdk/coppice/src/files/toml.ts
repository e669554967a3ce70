/** Settings in TOML. In a module of its own: a package that reads none pays for none. */
import { parse, stringify } from 'smol-toml';
import type { Schema } from '../schema.js';
import type { VolumeFile } from '../volume.js';
import { FileModel, type Format } from './model.js';

const format: Format = {
  parse: text => parse(text),
  stringify: value => `${stringify(value)}\n`,
};

/**
 * A TOML file. Comments in it are lost when it is written.
 *
 * @example
 * ```ts
 * import { shape } from '@coppice/sdk';
 * import { tomlFile } from '@coppice/sdk/files/toml';
 * import { hello } from './package.js';
 *
 * const settings = tomlFile(
 *   hello.volume('main').file('settings.toml'),
 *   shape.object({ server: shape.object({ port: shape.integer().or(8080) }) }),
 * );
 * await settings.merge({ server: { port: 8081 } });
 * ```
 */
export function tomlFile<T>(file: VolumeFile, schema: Schema<T>): FileModel<T> {
  return new FileModel(file, schema, format);
}
