import { inject, Injectable, signal } from '@angular/core';
import { commandDone, type Command } from '../words/controls';
import { Notices } from './notices';
import { Server } from './server';

/** Start, stop and restart with their notices; knows which are under way. */
@Injectable({ providedIn: 'root' })
export class Commands {
  private readonly server = inject(Server);
  private readonly notices = inject(Notices);
  private readonly underWay = signal<ReadonlySet<string>>(new Set());

  pending(command: Command, id: string): boolean {
    return this.underWay().has(`${command} ${id}`);
  }

  async run(command: Command, id: string, title: string): Promise<void> {
    const key = `${command} ${id}`;
    if (this.underWay().has(key)) return;
    this.underWay.update(set => new Set([...set, key]));
    await this.notices.guard(() => this.server.command(command, id), commandDone(command, title));
    this.underWay.update(set => new Set([...set].filter(k => k !== key)));
  }
}
