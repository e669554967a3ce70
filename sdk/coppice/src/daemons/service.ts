/**
 * A service that runs: its units, each with whoever runs it.
 *
 * Invariant: what is ended is ended in the reverse of the order in which it was started, and a subcontainer
 * goes after the last that runs in it. Daemons that Coppice runs are not ended here: their host ends them,
 * after this.
 *
 * When Coppice runs and looks at everything there is, nothing of the service is in this process, which may then
 * sleep: see `isHeldByHost`.
 */
import { setTimeout as delay } from 'node:timers/promises';
import type { Effects } from '../effects.js';
import { imageStart } from '../image.js';
import { hosted, lookingAt, placements, type Looking } from './placement.js';
import { DaemonProcess } from './process.js';
import { Subcontainer, type SubcontainerSpec } from './subcontainer.js';
import type { Ready, Unit, Units } from './unit.js';
import { Watch } from './health.js';

/** Milliseconds before work that failed is tried again; doubled with every failure, up to the second. */
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 30_000;

/** A service that runs. */
export interface RunningService {
  /** Whether nothing of it is in this process. */
  readonly isHeldByHost: boolean;
  term(): Promise<void>;
}

/** Starts a service; resolves when everything that waits for nothing is on its way. */
export async function startService(effects: Effects, units: Units): Promise<RunningService> {
  const service = new Service(effects, units);
  try {
    await service.begin();
  } catch (error) {
    await service.term();
    throw error;
  }
  return service;
}

class Service implements RunningService {
  readonly #boxes = new Map<SubcontainerSpec, Promise<Subcontainer>>();
  readonly #watches = new Map<string, Watch>();
  /** What it takes to count as there, by unit. */
  readonly #there = new Map<string, Promise<void>>();
  /** Ends what was started, youngest first. */
  readonly #ends: (() => Promise<void>)[] = [];
  readonly #ending = new AbortController();
  #isHeldByHost = false;

  constructor(
    private readonly effects: Effects,
    private readonly units: Units,
  ) {}

  get isHeldByHost(): boolean {
    return this.#isHeldByHost;
  }

  async begin(): Promise<void> {
    const { setDaemons } = this.effects;
    const placed = placements(this.units, setDaemons !== undefined);
    const toHost = this.units.ordered.flatMap(([id, unit]) =>
      unit.kind === 'daemon' && placed.get(id)?.by === 'host' ? [[id, unit, lookingAt(id, unit, this.units)] as const] : [],
    );
    const looking = new Map<string, Looking>(toHost.map(([id, , by]) => [id, by]));
    this.#isHeldByHost = this.units.ordered.every(([id]) => (looking.get(id)?.by ?? 'package') !== 'package');
    if (setDaemons !== undefined) {
      // Also when there is none: a former version of the package may have declared some.
      const daemons = await Promise.all(toHost.map(async ([id, unit, by]) => hosted(id, unit, await imageStart(unit.in.image), by)));
      await setDaemons({ daemons });
    }
    for (const [id, unit] of this.units.ordered) {
      const isLookedAt = (looking.get(id)?.by ?? 'package') === 'package';
      const ready = unit.kind === 'oneshot' || !isLookedAt ? undefined : unit.ready;
      const watch = ready === undefined ? null : this.#watchFor(id, ready);
      const isHosted = placed.get(id)?.by === 'host';
      const work = this.#bring(id, unit, watch, isHosted);
      this.#there.set(id, work);
      work.catch((error: unknown) => {
        if (!this.#isEnding) console.error(`\`${id}\` failed, and what requires it does not start:`, error);
      });
      // Work that waits for nothing is part of the start: its failure is the start's, and the host tries again.
      if (unit.kind === 'oneshot' && (unit.requires ?? []).length === 0) await work;
    }
  }

  async term(): Promise<void> {
    this.#ending.abort();
    await Promise.all([...this.#watches.values()].map(watch => watch.end()));
    for (const end of this.#ends.reverse()) await quietly(end);
    for (const box of [...this.#boxes.values()].reverse()) await quietly(async () => (await box).close());
  }

  #watchFor(id: string, ready: Ready): Watch {
    const watch = new Watch(this.effects, id, ready);
    this.#watches.set(id, watch);
    return watch;
  }

  /** Brings one unit up; resolves when what requires it may begin. */
  async #bring(id: string, unit: Unit, watch: Watch | null, isHosted: boolean): Promise<void> {
    const requires = unit.requires ?? [];
    if (requires.length > 0) {
      await watch?.waitsFor(requires.map(required => this.#nameOf(required)));
      await Promise.all(requires.map(required => this.#there.get(required)));
    }
    if (this.#isEnding) throw new Error('the service is being stopped');
    switch (unit.kind) {
      case 'oneshot':
        if (requires.length === 0) await unit.run(this.effects);
        else await this.#persist(id, unit.run);
        return;
      case 'check':
        watch?.begin(null);
        await watch?.well();
        return;
      case 'daemon': {
        const box = isHosted ? null : await this.#boxOf(id, unit.in);
        if (box !== null) {
          const process = new DaemonProcess(id, unit, box, async how => watch?.failed(`${this.#nameOf(id)}: ${how}`));
          // Registered before it starts: a stop in between must find it.
          this.#ends.push(() => process.stop());
          if (this.#isEnding) throw new Error('the service is being stopped');
          await process.start();
        }
        watch?.begin(box);
        await watch?.well();
      }
    }
  }

  /** Work that requires others is tried again until it is done: one of them may die in the midst of it, and comes back. */
  async #persist(id: string, run: (effects: Effects) => Promise<unknown>): Promise<void> {
    for (let pause = FIRST_PAUSE_MS; ; pause = Math.min(pause * 2, LONGEST_PAUSE_MS)) {
      try {
        await run(this.effects);
        return;
      } catch (error) {
        if (this.#isEnding) throw error;
        console.error(`\`${id}\` failed and is tried again in ${pause / 1000} s:`, error);
      }
      await delay(pause, undefined, { signal: this.#ending.signal });
    }
  }

  get #isEnding(): boolean {
    return this.#ending.signal.aborted;
  }

  #nameOf(id: string): string {
    const unit = this.units.ordered.find(([other]) => other === id)?.[1];
    const ready = unit === undefined || unit.kind === 'oneshot' ? undefined : unit.ready;
    return ready?.name ?? id;
  }

  #boxOf(id: string, spec: SubcontainerSpec): Promise<Subcontainer> {
    // Unless it has a name, it is called as the first who runs in it: so the host shows that one by its own name.
    const opened = this.#boxes.get(spec) ?? Subcontainer.open(this.effects, { ...spec, name: spec.name ?? id });
    this.#boxes.set(spec, opened);
    return opened;
  }
}

async function quietly(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    console.warn('ending something failed:', error);
  }
}
