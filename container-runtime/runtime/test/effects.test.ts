/** Our effects against the SDK's own declaration of them: a member more or less does not compile. */
import { expect, test } from 'vitest';
import type { Effects as SdkEffects } from '@start9labs/start-sdk/node_modules/@start9labs/start-core/Effects.js';
import { makeEffects, type Effects } from '../src/effects.js';

type Same<A, B> = [A] extends [B] ? ([B] extends [A] ? true : never) : never;

/** Coppice's own, which the SDK does not know. */
type Ours = 'setDaemons';

const members: Same<Exclude<keyof Effects, Ours>, keyof SdkEffects> = true;
const action: Same<keyof Effects['action'], keyof SdkEffects['action']> = true;
const subcontainer: Same<keyof Effects['subcontainer'], keyof SdkEffects['subcontainer']> = true;
const notification: Same<keyof Effects['notification'], keyof SdkEffects['notification']> = true;
const url: Same<keyof Effects['plugin']['url'], keyof SdkEffects['plugin']['url']> = true;

/** Every function of `value`, however deep, but the runtime's own. */
function* callsOf(value: object): Generator<(options: object) => Promise<unknown>> {
  for (const [name, member] of Object.entries(value)) {
    if (name === 'child' || name === 'onLeaveContext') continue;
    if (typeof member === 'function') yield member;
    else if (typeof member === 'object' && member !== null) yield* callsOf(member);
  }
}

test('the 44 effects of the ABI and our own each have a wire name of their own', async () => {
  expect([members, action, subcontainer, notification, url]).toEqual([true, true, true, true, true]);
  const called: string[] = [];
  const means = {
    call: (method: string): Promise<unknown> => Promise.resolve(called.push(method)),
    register: (): number => 1,
  };
  for (const call of callsOf(makeEffects(means, null, null))) await call({});
  expect(called).toHaveLength(45);
  expect(new Set(called).size).toBe(45);
  expect(called.every(method => /^[a-z.-]+$/.test(method))).toBe(true);
});
