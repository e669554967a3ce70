/** Settings in XML. In a module of its own: a package that reads none pays for none. */
import { XMLBuilder, XMLParser } from 'fast-xml-parser';
import type { Schema } from '../schema.js';
import type { VolumeFile } from '../volume.js';
import { FileModel, type Format } from './model.js';

// Attributes are members that begin with `@`; entities of the document's own making stay text.
const options = { ignoreAttributes: false, attributeNamePrefix: '@', processEntities: true } as const;

const format: Format = {
  parse: text => {
    const value: unknown = new XMLParser({ ...options, parseTagValue: false, parseAttributeValue: false }).parse(text, true);
    return value;
  },
  stringify: value => new XMLBuilder({ ...options, format: true, suppressEmptyNode: true }).build(value),
};

/**
 * An XML file. Attributes are members whose names begin with `@`; all values are text. An element that may
 * come several times is a list only when it does.
 *
 * @example
 * ```ts
 * import { shape } from '@coppice/sdk';
 * import { xmlFile } from '@coppice/sdk/files/xml';
 * import { hello } from './package.js';
 *
 * const settings = xmlFile(
 *   hello.volume('main').file('config.xml'),
 *   shape.object({ gui: shape.object({ '@tls': shape.boolean(), address: shape.string() }) }),
 * );
 * const { gui } = await settings.read();
 * ```
 */
export function xmlFile<T>(file: VolumeFile, schema: Schema<T>): FileModel<T> {
  return new FileModel(file, schema, format);
}
