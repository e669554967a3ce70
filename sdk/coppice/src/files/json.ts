/** Settings in JSON. */
import type { Schema } from '../schema.js';
import type { VolumeFile } from '../volume.js';
import { FileModel, type Format } from './model.js';

const json: Format = {
  parse: text => JSON.parse(text),
  stringify: value => `${JSON.stringify(value, null, 2)}\n`,
};

/**
 * A JSON file.
 *
 * @example
 * ```ts
 * import { jsonFile, shape } from '@coppice/sdk';
 * import { hello } from './package.js';
 *
 * const store = jsonFile(hello.volume('main').file('store.json'), shape.object({ password: shape.string() }));
 * const { password } = await store.read();
 * await store.merge({ password: `${password}!` });
 * ```
 */
export function jsonFile<T>(file: VolumeFile, schema: Schema<T>): FileModel<T> {
  return new FileModel(file, schema, json);
}
