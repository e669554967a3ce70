/** Images: what programs of a service run in, and how they are started there. */
import { readFile } from 'node:fs/promises';
import { media } from './places.js';
import { shape, type Infer } from './schema.js';

const startShape = shape.object({
  user: shape.string({ min: 1 }).or('root'),
  workdir: shape.string({ min: 1 }).or('/'),
  entrypoint: shape.array(shape.string()).nullable().or(null),
  cmd: shape.array(shape.string()).nullable().or(null),
});

/** How an image says that programs in it are started. */
export type ImageStart = Infer<typeof startShape>;

/** The command that an image brings: {@link entrypoint}. */
export interface Entrypoint {
  readonly kind: 'entrypoint';
  /** What stands in the place of the image's own arguments. */
  readonly args: readonly string[] | null;
}

/** A program with its arguments, or the one that the image names. */
export type Command = readonly [string, ...string[]] | Entrypoint;

/**
 * The program that the image itself names, with its arguments or with these.
 *
 * @example
 * ```ts
 * import { daemon, entrypoint } from '@coppice/sdk';
 * import { hello } from './package.js';
 *
 * const server = daemon({ in: hello.subcontainer({ image: 'hello' }), command: entrypoint() });
 * ```
 */
export function entrypoint(args: readonly string[] | null = null): Entrypoint {
  return { kind: 'entrypoint', args };
}

/** How programs in the image are started; the usual when the image does not say. */
export async function imageStart(imageId: string): Promise<ImageStart> {
  const text = await readFile(media('images', `${imageId}.json`), 'utf8').catch(() => '{}');
  const checked = startShape.check(JSON.parse(text));
  if (checked.issues !== undefined) throw new Error(`images/${imageId}.json is not an object; pack the image again`);
  return checked.value;
}

/**
 * The words of a command in an image.
 *
 * @throws when the image was to name the program, and does not.
 */
export function commandWords(command: Command, imageId: string, start: ImageStart): readonly string[] {
  if (!('kind' in command)) return command;
  const words = [...(start.entrypoint ?? []), ...(command.args ?? start.cmd ?? [])];
  if (words.length === 0) throw new Error(`image \`${imageId}\` names no program; give a \`command\``);
  return words;
}
