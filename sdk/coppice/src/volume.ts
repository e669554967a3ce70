/** Volumes, and the files in them. */
import { media } from './places.js';

/** How a volume appears in a subcontainer. */
export interface MountOptions {
  /** The part of the volume that is shown; all of it without. */
  readonly subpath?: string;
  /** Whether it is only read. */
  readonly readonly?: boolean;
}

/** Something that can be put into a subcontainer. */
export type Mount =
  | { readonly kind: 'volume'; readonly volume: string; readonly mountpoint: string; readonly subpath: string | null; readonly readonly: boolean }
  | { readonly kind: 'assets'; readonly mountpoint: string; readonly subpath: string | null }
  | {
      readonly kind: 'dependency';
      readonly packageId: string;
      readonly volume: string;
      readonly mountpoint: string;
      readonly subpath: string | null;
      readonly readonly: boolean;
      readonly idmap: readonly { readonly fromId: number; readonly toId: number; readonly range: number }[];
    };

/** A place in a subcontainer: absolute, not `/`, without `..`. */
export function checkMountpoint(mountpoint: string): string {
  const parts = mountpoint.split('/').filter(part => part !== '');
  if (!mountpoint.startsWith('/') || parts.length === 0 || parts.includes('..')) {
    throw new Error(`\`${mountpoint}\` cannot be a mount point: it is an absolute path without \`..\`, not \`/\``);
  }
  return mountpoint;
}

/** A path below something: relative, without `..`. */
export function checkSubpath(subpath: string): string {
  if (subpath.split('/').includes('..')) throw new Error(`\`${subpath}\` leads out: leave \`..\` away`);
  return subpath;
}

/**
 * A volume of this package; get one from {@link PackageHandle.volume}.
 *
 * @example
 * ```ts
 * import { hello } from './package.js';
 *
 * const main = hello.volume('main');
 * console.log(main.path('hello.conf')); // /media/startos/volumes/main/hello.conf
 * ```
 */
export class Volume {
  constructor(readonly id: string) {}

  /** The path of something in it, for this package's own JavaScript. */
  path(subpath = ''): string {
    return media('volumes', this.id, checkSubpath(subpath));
  }

  /** A file in it, for a file model. */
  file(subpath: string): VolumeFile {
    return new VolumeFile(this, checkSubpath(subpath));
  }

  /** This volume at a place in a subcontainer. */
  at(mountpoint: string, { subpath, readonly = false }: MountOptions = {}): Mount {
    return {
      kind: 'volume',
      volume: this.id,
      mountpoint: checkMountpoint(mountpoint),
      subpath: subpath === undefined ? null : checkSubpath(subpath),
      readonly,
    };
  }
}

/** A file in a volume; get one from {@link Volume.file}. */
export class VolumeFile {
  constructor(
    readonly volume: Volume,
    readonly subpath: string,
  ) {}

  /** Where it is now. */
  get path(): string {
    return this.volume.path(this.subpath);
  }

  /** Its name for people: the volume, then the path in it. */
  get name(): string {
    return `${this.volume.id}/${this.subpath}`;
  }
}

/**
 * The package's assets at a place in a subcontainer.
 *
 * @example
 * ```ts
 * import { assetsAt } from '@coppice/sdk';
 *
 * const themes = assetsAt('/usr/share/themes', { subpath: 'themes' });
 * ```
 */
export function assetsAt(mountpoint: string, { subpath }: { readonly subpath?: string } = {}): Mount {
  return { kind: 'assets', mountpoint: checkMountpoint(mountpoint), subpath: subpath === undefined ? null : checkSubpath(subpath) };
}
