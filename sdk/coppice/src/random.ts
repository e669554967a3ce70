/** Secrets that a package makes. */
import { randomInt } from 'node:crypto';

/**
 * Random text, fit for passwords.
 *
 * @example
 * ```ts
 * import { randomText } from '@coppice/sdk';
 *
 * const password = randomText(32);
 * const pin = randomText(6, '0123456789');
 * ```
 */
export function randomText(length: number, from = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'): string {
  return Array.from({ length }, () => from.charAt(randomInt(from.length))).join('');
}
