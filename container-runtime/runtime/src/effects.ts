/**
 * The `effects` object package code gets.
 *
 * Invariant: a plain object whose properties are its own, enumerable and writable, and whose
 * functions never look at `this`: packages spread it, wrap its members and assign to it.
 */
import type { Context } from './context.js';

type Options = object | undefined;
type Call = (options?: Options) => Promise<unknown>;

/** One member per member of the SDK's `Effects`, and `setDaemons`; answers are the host's, passed through. */
export interface Effects {
  readonly eventId: string | null;
  child: (name: string) => Effects;
  constRetry: (() => void) | undefined;
  isInContext: boolean;
  onLeaveContext: (fn: () => unknown) => void;
  clearCallbacks: Call;
  action: { export: Call; clear: Call; getInput: Call; run: Call; createTask: Call; clearTasks: Call };
  restart: Call;
  shutdown: Call;
  getStatus: Call;
  setMainStatus: Call;
  /** Coppice's own: the SDK does not know it. */
  setDaemons: Call;
  setDependencies: Call;
  getDependencies: Call;
  checkDependencies: Call;
  mount: Call;
  getInstalledPackages: Call;
  getServiceManifest: Call;
  setBackupProgress: Call;
  setInitProgress: Call;
  setHealth: Call;
  notification: { create: Call };
  subcontainer: { createFs: Call; destroyFs: Call };
  bind: Call;
  bindRange: Call;
  getServicePortForward: Call;
  clearBindings: Call;
  getHostInfo: Call;
  getContainerIp: Call;
  getOsIp: Call;
  getOutboundGateway: Call;
  exportServiceInterface: Call;
  exportRangeServiceInterface: Call;
  getServiceInterface: Call;
  listServiceInterfaces: Call;
  clearServiceInterfaces: Call;
  plugin: { url: { register: Call; exportUrl: Call; clearUrls: Call } };
  getSslCertificate: Call;
  getSslKey: Call;
  setDataVersion: Call;
  getDataVersion: Call;
  getSystemSmtp: Call;
}

/** What effects are made of. */
export interface Means {
  /** Calls the host. */
  call(method: string, params: object): Promise<unknown>;
  /** A number for a function of the package. */
  register(callback: () => unknown): number;
}

/** Effects in `context`; `null` is the context of `uninit`: there is none. */
export function makeEffects(means: Means, context: Context | null, eventId: string | null): Effects {
  const call =
    (method: string): Call =>
    options =>
      means.call(method, eventId === null ? { ...options } : { ...options, eventId });
  const watch =
    (method: string): Call =>
    options =>
      call(method)({ ...options, callback: register(options) });

  /** The number of the callback in `options`; null without one, or when nothing could be delivered. */
  function register(options: Options): number | null {
    const callback: unknown = options !== undefined && 'callback' in options ? options.callback : null;
    if (!isCallback(callback) || context?.isAlive !== true) return null;
    const id = means.register(callback);
    context.own(id);
    return id;
  }

  const effects: Effects = {
    eventId,
    child: name => makeEffects(means, context?.child(name) ?? null, eventId),
    constRetry: undefined,
    isInContext: context?.isAlive === true,
    onLeaveContext: fn => {
      if (context?.onLeave(fn) !== true) {
        console.warn('onLeaveContext was called where there is no context to leave');
      }
    },
    clearCallbacks: call('clear-callbacks'),
    action: {
      export: call('action.export'),
      clear: call('action.clear'),
      getInput: call('action.get-input'),
      run: call('action.run'),
      createTask: call('action.create-task'),
      clearTasks: call('action.clear-tasks'),
    },
    restart: call('restart'),
    shutdown: call('shutdown'),
    getStatus: watch('get-status'),
    setMainStatus: call('set-main-status'),
    setDaemons: call('set-daemons'),
    setDependencies: call('set-dependencies'),
    getDependencies: call('get-dependencies'),
    checkDependencies: call('check-dependencies'),
    mount: call('mount'),
    getInstalledPackages: call('get-installed-packages'),
    getServiceManifest: watch('get-service-manifest'),
    setBackupProgress: call('set-backup-progress'),
    setInitProgress: call('set-init-progress'),
    setHealth: call('set-health'),
    notification: { create: call('notification.create') },
    subcontainer: { createFs: call('subcontainer.create-fs'), destroyFs: call('subcontainer.destroy-fs') },
    bind: call('bind'),
    bindRange: call('bind-range'),
    getServicePortForward: call('get-service-port-forward'),
    clearBindings: call('clear-bindings'),
    getHostInfo: watch('get-host-info'),
    getContainerIp: watch('get-container-ip'),
    getOsIp: call('get-os-ip'),
    getOutboundGateway: watch('get-outbound-gateway'),
    exportServiceInterface: call('export-service-interface'),
    exportRangeServiceInterface: call('export-range-service-interface'),
    getServiceInterface: watch('get-service-interface'),
    listServiceInterfaces: watch('list-service-interfaces'),
    clearServiceInterfaces: call('clear-service-interfaces'),
    plugin: {
      url: {
        register: call('plugin.url.register'),
        exportUrl: call('plugin.url.export-url'),
        clearUrls: call('plugin.url.clear-urls'),
      },
    },
    getSslCertificate: watch('get-ssl-certificate'),
    getSslKey: call('get-ssl-key'),
    setDataVersion: call('set-data-version'),
    getDataVersion: call('get-data-version'),
    getSystemSmtp: watch('get-system-smtp'),
  };
  // Queued before anything of the package's: its own clean-ups already see a context that is left.
  context?.onEnd(() => {
    effects.isInContext = false;
    effects.constRetry = undefined;
  });
  return effects;
}

function isCallback(value: unknown): value is () => unknown {
  return typeof value === 'function';
}
