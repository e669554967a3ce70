import { inject, Injectable } from '@angular/core';
import * as z from 'zod/mini';
import { grants, madeToken, offeredApp, recoveryCodes, sessions, twoStep } from '../api/access';
import type { Grant, OfferedApp, Sessions, TwoStep } from '../api/access';
import { Connection } from './connection';

const nothing = z.unknown();

/** What a token may do; each holds the ones before it. */
export type Scope = 'read' | 'services' | 'admin';

/** The server's methods about who gets in. All throw what `Connection.call` throws. */
@Injectable({ providedIn: 'root' })
export class Access {
  private readonly connection = inject(Connection);

  sessions(): Promise<Sessions> {
    return this.connection.ask('auth.session.list', {}, sessions);
  }

  async endSessions(ids: readonly string[]): Promise<void> {
    await this.connection.call('auth.session.kill', { ids: [...ids] }, nothing);
  }

  tokens(): Promise<Grant[]> {
    return this.connection.ask('auth.token.list', {}, grants);
  }

  /** The token, which the server tells this once. */
  async makeToken(name: string, scope: Scope, days: number): Promise<string> {
    const expiresIn = days * 24 * 3600;
    return (await this.connection.call('auth.token.create', { name, scope, expiresIn }, madeToken)).token;
  }

  async revokeToken(id: string): Promise<void> {
    await this.connection.call('auth.token.revoke', { ids: [id] }, nothing);
  }

  keys(): Promise<Grant[]> {
    return this.connection.ask('auth.key.list', {}, grants);
  }

  async removeKey(id: string): Promise<void> {
    await this.connection.call('auth.key.remove', { ids: [id] }, nothing);
  }

  twoStep(): Promise<TwoStep> {
    return this.connection.ask('auth.totp.status', {}, twoStep);
  }

  offerApp(password: string): Promise<OfferedApp> {
    return this.connection.call('auth.totp.enrol', { password }, offeredApp);
  }

  /** Switches two-step login on; gives the recovery codes, which the server tells this once. */
  async confirmApp(code: string): Promise<readonly string[]> {
    return (await this.connection.call('auth.totp.confirm', { code }, recoveryCodes)).recoveryCodes;
  }

  async twoStepOff(password: string): Promise<void> {
    await this.connection.call('auth.totp.disable', { password }, nothing);
  }
}
