/** Settings in YAML. In a module of its own: a package that reads none pays for none. */
import { parse, stringify } from 'yaml';
import type { Schema } from '../schema.js';
import type { VolumeFile } from '../volume.js';
import { FileModel, type Format } from './model.js';

const format: Format = {
  parse: text => parse(text),
  stringify: value => stringify(value),
};

/**
 * A YAML file. Comments in it are lost when it is written.
 *
 * @example
 * ```ts
 * import { shape } from '@coppice/sdk';
 * import { yamlFile } from '@coppice/sdk/files/yaml';
 * import { hello } from './package.js';
 *
 * const settings = yamlFile(
 *   hello.volume('main').file('settings.yaml'),
 *   shape.object({ server: shape.object({ port: shape.integer().or(8080) }) }),
 * );
 * await settings.merge({ server: { port: 8081 } });
 * ```
 */
export function yamlFile<T>(file: VolumeFile, schema: Schema<T>): FileModel<T> {
  return new FileModel(file, schema, format);
}
