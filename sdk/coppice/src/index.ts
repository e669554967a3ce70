/** The Coppice SDK: see README.md. */
export { action, actionWithForm, result, Action, type ActionFormOptions, type ActionOf, type ActionOptions } from './action.js';
export { backup, Backup, type BackedUp, type BackupOptions } from './backup.js';
export { commandSucceeds, httpAnswers, portListening, type Check, type CheckContext, type CheckResult, type CheckWords } from './daemons/check.js';
export { placements, type Placement, type StaysBecause } from './daemons/placement.js';
export { Subcontainer, withSubcontainer, type ExecOptions, type SubcontainerSpec } from './daemons/subcontainer.js';
export {
  daemon,
  healthCheck,
  oneshot,
  oneshotIn,
  units,
  type Daemon,
  type DaemonOptions,
  type HealthCheck,
  type Oneshot,
  type Ready,
  type Unit,
  type Units,
} from './daemons/unit.js';
export { Dependency } from './dependency.js';
export type * from './effects.js';
export type * from './wire-network.js';
export { compareVersions, parseRange, parseVersion, VersionError, type Range, type Version, type VersionText } from './exver.js';
export { envFile } from './files/env.js';
export { jsonFile } from './files/json.js';
export { FileError, FileModel, type Format, type Part } from './files/model.js';
export { fields, form, FormError, type Field, type Fields, type Filled, type Form, type FormValue } from './form.js';
export { certificateFor, hostOf, manifestOf, statusOf, systemSmtp } from './host-sources.js';
export { hostLocale, translations } from './i18n.js';
export { entrypoint, type Command, type Entrypoint } from './image.js';
export { ManifestError, type ImageOptions, type LocaleText, type Manifest, type PackageInfo } from './manifest.js';
export { demandNeeds, NeedsError, needsMet, unmetNeeds } from './needs.js';
export { http, portRange, tcp, type Binding, type InterfaceOptions } from './network.js';
export { definePackage, PackageHandle, type PackageExports, type PackageParts, type Step } from './package.js';
export { randomText } from './random.js';
export { parse, SchemaError, Shape, shape, type Checked, type Infer, type Issue, type Schema } from './schema.js';
export { follow, mapped, use, type Source } from './source.js';
export { CommandFailed, type Exit, type Output, type RunOptions } from './spawner.js';
export { createTask, ownTask, taskOf, type Task } from './task.js';
export { bridgeAddress, urlsOf, type UrlFilter } from './urls.js';
export { versions, Versions, type Migration, type UninitTarget, type VersionsOptions } from './versions.js';
export { assetsAt, Volume, VolumeFile, type Mount, type MountOptions } from './volume.js';
