/** How far an install is, in a number and in words. */
import type { FullProgress, Progress } from '../api/schema';

export interface ProgressLook {
  /** 0 to 100, or null while nobody knows how much there is to do. */
  readonly percent: number | null;
  readonly words: string;
}

function isFull(progress: Progress): progress is FullProgress {
  return typeof progress === 'object' && progress !== null && 'phases' in progress;
}

/** 0 to 1, or null when the total is unknown. */
export function fraction(progress: Progress): number | null {
  if (progress === true) return 1;
  if (progress === null) return 0;
  if (progress === false) return null;
  if (isFull(progress)) return fraction(progress.overall);
  if (progress.total === null) return null;
  return progress.total === 0 ? 1 : Math.min(1, progress.done / progress.total);
}

export function progressLook(progress: FullProgress): ProgressLook {
  const share = fraction(progress.overall);
  const percent = share === null ? null : Math.floor(share * 100);
  const running = progress.phases.find(p => p.progress !== null && fraction(p.progress) !== 1);
  const words =
    progress.overall === true ? 'Done.' : running ? `${running.name}${phasePercent(running.progress)}` : 'Getting ready';
  return { percent, words };
}

function phasePercent(progress: Progress): string {
  const share = fraction(progress);
  return share === null || share === 0 ? '' : ` ${Math.floor(share * 100)} %`;
}

/** Sizes with the decimal units that disks are sold in. */
export function bytes(size: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = size;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}
