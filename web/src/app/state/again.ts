/** For what may be asked more than once: a phone that changes networks drops what it was asking for. */

/** Milliseconds before each further try. A network that is just being changed is back within the second. */
const PAUSES_MS = [200, 1_000, 3_000];

/**
 * What `work` gives, tried again for some seconds as long as what it throws `passes`.
 *
 * @throws what the last try throws, and at once what does not pass.
 */
export async function again<T>(work: () => Promise<T>, passes: (error: unknown) => boolean): Promise<T> {
  for (const pause of PAUSES_MS) {
    try {
      return await work();
    } catch (error) {
      if (!passes(error)) throw error;
    }
    await new Promise(resolve => setTimeout(resolve, pause));
  }
  return work();
}

/** A part of this page did not arrive; nothing that was on it before is lost. */
export class MissingPartError extends Error {
  override readonly name = 'MissingPartError';
  constructor(options?: ErrorOptions) {
    super('A part of this page did not arrive. Check that you are on the network of the server, and try again.', options);
  }
}

/**
 * A part of this page that is loaded when it is first needed.
 *
 * @throws {MissingPartError} when no try succeeds.
 * @example
 * ```ts
 * const { QrDialog } = await part(() => import('./qr.dialog'));
 * ```
 */
export async function part<T>(load: () => Promise<T>): Promise<T> {
  return again(load, () => true).catch((cause: unknown) => {
    throw new MissingPartError({ cause });
  });
}
