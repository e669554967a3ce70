/** What a package is, needs and contains: read when it is packed, and by every host. */
import type { Versions } from './versions.js';

/** Text for people, in one language or in several: `{ en_US: '…', de_DE: '…' }`. */
export type LocaleText = string | Readonly<Record<string, string>>;

/** Processors that packages are made for. */
export type Arch = 'x86_64' | 'aarch64' | 'riscv64';

/** Where an image comes from when the package is packed. */
export type ImageSource =
  | 'packed'
  | { readonly dockerTag: string }
  | {
      readonly dockerBuild: {
        readonly workdir?: string;
        readonly dockerfile?: string;
        readonly buildArgs?: Readonly<Record<string, string | { readonly env: string }>>;
      };
    };

/** One image of a package. */
export interface ImageOptions {
  /** Without one, the image is taken from the project's `images/` folder. */
  readonly source?: ImageSource;
  /** The processors that it exists for. */
  readonly arch: readonly [Arch, ...Arch[]];
  /** Which one is emulated where the machine's is missing. */
  readonly emulateMissingAs?: Arch;
  /** Whether NVIDIA's libraries are put into it. */
  readonly nvidiaContainer?: boolean;
}

/** Another package that this one may need. */
export interface DependencyOptions {
  readonly description: LocaleText;
  /** Whether this one does without, too. */
  readonly optional: boolean;
  /** How it is shown before it is installed: its title, and an icon as a path or URL. */
  readonly metadata?: { readonly title: LocaleText; readonly icon: string };
}

/** A device that the machine must have. */
export interface DeviceFilter {
  readonly description: string;
  readonly class: 'processor' | 'display';
  readonly product?: string;
  readonly vendor?: string;
  readonly driver?: string;
  readonly capabilities?: readonly string[];
}

/** What {@link definePackage} takes. */
export interface PackageInfo<Image extends string, Volume extends string, Dependency extends string> {
  /** Its name for machines: `a-z0-9`, with `-` in between. */
  readonly id: string;
  /** Its name for people. */
  readonly title: string;
  /** The licence of what is packed, such as `MIT`. */
  readonly license: string;
  /** Where the package's own source is. */
  readonly packageRepo: string;
  /** Where the source of the packed program is. */
  readonly upstreamRepo: string;
  readonly marketingUrl?: string;
  readonly donationUrl?: string;
  readonly description: { readonly short: LocaleText; readonly long: LocaleText };
  readonly images: Readonly<Record<Image, ImageOptions>>;
  readonly volumes: readonly Volume[];
  readonly dependencies?: Readonly<Record<Dependency, DependencyOptions>>;
  /** Whether it gets the machine's graphics devices. */
  readonly hardwareAcceleration?: boolean;
  /** Whether it gets `/dev/fuse`. */
  readonly userspaceFilesystems?: boolean;
  /** Whether it gets `/dev/net/tun`. */
  readonly virtualNetworking?: boolean;
  /** Extensions of the host that it offers. */
  readonly plugins?: readonly 'url-v0'[];
  readonly hardwareRequirements?: {
    readonly arch?: readonly Arch[];
    /** Bytes. */
    readonly ram?: number;
    readonly device?: readonly DeviceFilter[];
  };
  /** The oldest StartOS that it runs on. */
  readonly osVersion?: string;
}

/** A package's info without its names, for code that does not care. */
export type AnyPackageInfo = PackageInfo<string, string, string>;

/** A manifest as it is packed. */
export type Manifest = Readonly<Record<string, unknown>> & {
  readonly id: string;
  readonly title: string;
  readonly version: string;
  readonly volumes: readonly string[];
  readonly images: Readonly<Record<string, unknown>>;
};

const ID = /^[a-z0-9]+(-[a-z0-9]+)*$/;

/** Info that cannot be packed. */
export class ManifestError extends Error {
  override readonly name = 'ManifestError';
}

/** @throws {ManifestError} that says everything that is wrong. */
export function checkInfo(info: AnyPackageInfo): void {
  const wrong: string[] = [];
  const ids: (readonly [string, string])[] = [
    ['package', info.id],
    ...Object.keys(info.images).map(id => ['image', id] as const),
    ...info.volumes.map(id => ['volume', id] as const),
    ...Object.keys(info.dependencies ?? {}).map(id => ['dependency', id] as const),
  ];
  for (const [what, id] of ids) {
    if (!ID.test(id)) wrong.push(`\`${id}\` cannot be the id of a ${what}: use a-z and 0-9, with single \`-\` in between`);
  }
  if (new Set(info.volumes).size !== info.volumes.length) wrong.push('two volumes have the same id');
  if (Object.keys(info.images).length === 0) wrong.push('it has no image, so nothing can run');
  for (const [id, { arch, emulateMissingAs }] of Object.entries(info.images)) {
    if (emulateMissingAs !== undefined && !arch.includes(emulateMissingAs)) {
      wrong.push(`image \`${id}\` is to be emulated as ${emulateMissingAs}, which is not one of its own: ${arch.join(', ')}`);
    }
  }
  const urls = { packageRepo: info.packageRepo, upstreamRepo: info.upstreamRepo, marketingUrl: info.marketingUrl, donationUrl: info.donationUrl };
  for (const [name, url] of Object.entries(urls)) {
    if (url !== undefined && !URL.canParse(url)) wrong.push(`\`${name}\` is no URL: ${url}`);
  }
  if (wrong.length > 0) throw new ManifestError(`the package \`${info.id}\` cannot be packed: ${wrong.join('; ')}`);
}

/** The manifest of this version. */
export function buildManifest(info: AnyPackageInfo, versions: Versions): Manifest {
  const { current, releaseNotes, satisfies = [] } = versions.options;
  const device = (info.hardwareRequirements?.device ?? []).map(one => ({
    product: null,
    vendor: null,
    ...one,
    capabilities: one.capabilities ?? [],
    ...(one.class === 'display' ? { driver: one.driver ?? null } : {}),
  }));
  const arches = [...new Set(Object.values(info.images).flatMap(image => image.arch))];
  return {
    id: info.id,
    version: current,
    canMigrateTo: versions.canMigrateTo,
    canMigrateFrom: versions.canMigrateFrom,
    title: info.title,
    description: info.description,
    releaseNotes,
    gitHash: null,
    license: info.license,
    packageRepo: info.packageRepo,
    upstreamRepo: info.upstreamRepo,
    marketingUrl: info.marketingUrl ?? null,
    donationUrl: info.donationUrl ?? null,
    ...(info.osVersion === undefined ? {} : { osVersion: info.osVersion }),
    sdkVersion: null,
    hardwareAcceleration: info.hardwareAcceleration ?? false,
    userspaceFilesystems: info.userspaceFilesystems ?? false,
    virtualNetworking: info.virtualNetworking ?? false,
    plugins: info.plugins ?? [],
    satisfies,
    images: Object.fromEntries(
      Object.entries(info.images).map(([id, image]) => [
        id,
        {
          source: image.source ?? 'packed',
          arch: image.arch,
          emulateMissingAs: image.emulateMissingAs ?? null,
          nvidiaContainer: image.nvidiaContainer ?? false,
        },
      ]),
    ),
    volumes: info.volumes,
    dependencies: info.dependencies ?? {},
    hardwareRequirements: {
      arch: info.hardwareRequirements?.arch ?? arches,
      ram: info.hardwareRequirements?.ram ?? null,
      device,
    },
  };
}
