import { DOCUMENT, inject, Injectable } from '@angular/core';

/** Knows whether a button of the mouse, a pen or a finger is down. */
@Injectable({ providedIn: 'root' })
export class Pointer {
  private held = false;
  private waiting: (() => void)[] = [];

  constructor() {
    const document = inject(DOCUMENT);
    const listen = (event: string, hear: () => void) => document.addEventListener(event, hear, { capture: true, passive: true });
    listen('pointerdown', () => (this.held = true));
    for (const end of ['pointerup', 'pointercancel']) listen(end, () => this.release());
  }

  /**
   * Runs `act` at once, or, while a button is down, after the click that letting it go makes.
   *
   * A press takes the focus from the field before. A message that appears then moves what is
   * below it, the release meets something else, and the browser makes no click of the two.
   */
  whenFree(act: () => void): void {
    if (this.held) this.waiting.push(act);
    else act();
  }

  private release(): void {
    this.held = false;
    const due = this.waiting;
    this.waiting = [];
    // The click is sent in the task of the release, so the next task is after it.
    if (due.length > 0) setTimeout(() => due.forEach(act => act()));
  }
}
