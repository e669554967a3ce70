import { inject, Injectable } from '@angular/core';
import * as z from 'zod/mini';
import { actionResult, logFollow, logPage, sideloadTicket, type ActionResult } from '../api/schema';
import { actionInput, type ActionInput } from '../form/spec';
import type { Command } from '../words/controls';
import { Connection, socketUrl } from './connection';

const nothing = z.unknown();

/** The server's methods, one function each. All throw what `Connection.call` throws. */
@Injectable({ providedIn: 'root' })
export class Server {
  private readonly connection = inject(Connection);

  /** `code` is of two-step login; null where none was asked for. */
  async login(password: string, code: string | null): Promise<void> {
    await this.connection.call('auth.login', { password, code }, nothing);
    this.connection.resume();
  }

  async logout(): Promise<void> {
    await this.connection.call('auth.logout', {}, nothing);
    this.connection.forget();
  }

  async command(command: Command, id: string): Promise<void> {
    // Whoever wants it to run wants the same a second time; a second restart would be one more.
    if (command === 'restart') await this.connection.call('package.restart', { id }, nothing);
    else await this.connection.ask(`package.${command}`, { id }, nothing);
  }

  /** `soft` keeps the data; `force` removes the service even if its own code objects. */
  async uninstall(id: string, options: { soft: boolean; force: boolean }): Promise<void> {
    await this.connection.call('package.uninstall', { id, ...options }, nothing);
  }

  /** The form of an action, or null when it has none. */
  getInput(packageId: string, actionId: string, prefill: Record<string, unknown> | null): Promise<ActionInput | null> {
    return this.connection.ask('package.action.get-input', { packageId, actionId, prefill }, actionInput);
  }

  /** `eventId` is the one the form came with: the package keeps its validator under it. */
  runAction(
    packageId: string,
    actionId: string,
    eventId: string | null,
    input: Record<string, unknown> | null,
  ): Promise<ActionResult | null> {
    return this.connection.call('package.action.run', { packageId, actionId, eventId, input }, actionResult);
  }

  async dismissTask(packageId: string, replayId: string): Promise<void> {
    await this.connection.call('package.action.clear-task', { packageId, replayId, force: false }, nothing);
  }

  /** The lines before `cursor`, oldest first. */
  logsBefore(id: string, cursor: string, limit: number): Promise<z.infer<typeof logPage>> {
    return this.connection.ask('package.logs', { id, cursor, limit, before: true }, logPage);
  }

  /** The last `limit` lines (or all after `cursor`), then every new one over the socket. */
  async followLogs(id: string, limit: number, cursor: string | null): Promise<{ socket: WebSocket; startCursor: string | null }> {
    const params = cursor === null ? { id, limit } : { id, limit, cursor };
    const { guid, startCursor } = await this.connection.call('package.logs.follow', params, logFollow);
    return { socket: new WebSocket(socketUrl(guid)), startCursor };
  }

  sideload(): Promise<z.infer<typeof sideloadTicket>> {
    return this.connection.call('package.sideload', {}, sideloadTicket);
  }
}
