/** Settings in INI. In a module of its own: a package that reads none pays for none. */
import { parse, stringify } from 'ini';
import type { Schema } from '../schema.js';
import type { VolumeFile } from '../volume.js';
import { FileModel, type Format } from './model.js';

const format: Format = {
  parse: text => parse(text),
  stringify: value => stringify(value),
};

/**
 * A INI file. Comments in it are lost when it is written.
 *
 * @example
 * ```ts
 * import { shape } from '@coppice/sdk';
 * import { iniFile } from '@coppice/sdk/files/ini';
 * import { hello } from './package.js';
 *
 * const settings = iniFile(
 *   hello.volume('main').file('settings.ini'),
 *   shape.object({ server: shape.object({ port: shape.integer().or(8080) }) }),
 * );
 * await settings.merge({ server: { port: 8081 } });
 * ```
 */
export function iniFile<T>(file: VolumeFile, schema: Schema<T>): FileModel<T> {
  return new FileModel(file, schema, format);
}
