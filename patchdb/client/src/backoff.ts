/** How long to wait before each try. */
export interface BackoffOptions {
  /** Upper bound of the first wait in milliseconds. @default 250 */
  readonly firstMs?: number;
  /** Upper bound of every wait in milliseconds. @default 15000 */
  readonly mostMs?: number;
  /** A number from 0 to 1. @default Math.random */
  readonly random?: () => number;
}

/**
 * The wait before try `attempt` (1 is the first after a failure): up to `firstMs * 2^(attempt-1)`,
 * at least half of that, so that many clients of one server do not all come back at once.
 */
export function waitMs(attempt: number, options: BackoffOptions = {}): number {
  const { firstMs = 250, mostMs = 15_000, random = Math.random } = options;
  const bound = Math.min(mostMs, firstMs * 2 ** (attempt - 1));
  return bound / 2 + (random() * bound) / 2;
}
