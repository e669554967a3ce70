import { Injectable, signal } from '@angular/core';

/** The one place of the UI that reads a clock for display; everything else takes `now`. */
@Injectable({ providedIn: 'root' })
export class Clock {
  private readonly time = signal(Date.now());
  /** Milliseconds since 1970, renewed every 10 s. */
  readonly now = this.time.asReadonly();

  constructor() {
    setInterval(() => this.time.set(Date.now()), 10_000);
  }
}
