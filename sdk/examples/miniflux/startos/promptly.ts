import { setTimeout as sleep } from 'node:timers/promises';
import type { sdk } from './sdk';

type Trigger = ReturnType<typeof sdk.trigger.statusTrigger>;

/**
 * When to run a check that costs a process: five times a second until it succeeds, then every 15 seconds.
 *
 * The SDK's own triggers sleep their 15 seconds out even when the daemon crashes meanwhile. As it starts what
 * requires the daemon only after the next success, a database that is back at once would keep Miniflux waiting.
 */
export const promptly: Trigger = async function* (getInput) {
  for (;;) {
    if (getInput().lastResult !== 'success') await sleep(200);
    for (let s = 0; s < 15 && getInput().lastResult === 'success'; s++) await sleep(1_000);
    yield;
  }
};
