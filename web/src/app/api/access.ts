/**
 * What the UI reads of sessions, tokens, keys and two-step login, checked once at the border.
 *
 * Invariant: as in `schema.ts`, nothing reaches a component without passing a schema of this file, and a
 * schema does not compile unless all that Rust may send passes it.
 */
import * as z from 'zod/mini';
import type * as sent from './generated/methods';
import type { Read } from './schema';

const session = z.object({
  loggedIn: z.string(),
  lastActive: z.string(),
  userAgent: z.nullable(z.string()),
});
export type Session = z.infer<typeof session>;

export const sessions = z.object({
  current: z.nullable(z.string()),
  sessions: z.record(z.string(), session),
});
export type Sessions = Read<typeof sessions, sent.Sessions>;

const grant = z.object({
  id: z.string(),
  name: z.string(),
  scope: z.string(),
  created: z.string(),
  expires: z.string(),
  lastUsed: z.nullable(z.string()),
});
/** A token or a key. */
export type Grant = Read<typeof grant, sent.ShownGrant>;
export const grants = z.array(grant);

export const madeToken = z.object({ token: z.string() });
export type MadeToken = Read<typeof madeToken, sent.MadeToken>;

export const twoStep = z.object({
  enabled: z.boolean(),
  recoveryCodesLeft: z.number(),
});
export type TwoStep = Read<typeof twoStep, sent.TwoStepLogin>;

export const offeredApp = z.object({ secret: z.string(), uri: z.string() });
export type OfferedApp = Read<typeof offeredApp, sent.OfferedApp>;

export const recoveryCodes = z.object({
  recoveryCodes: z.array(z.string()),
});
export type RecoveryCodes = Read<typeof recoveryCodes, sent.RecoveryCodes>;
