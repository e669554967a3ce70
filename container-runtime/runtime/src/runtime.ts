/** Ties the service to the connection: methods to functions, failures to error objects. */
import { Connection, type Identity } from './connection.js';
import { lifeCycleError, procedureError } from './errors.js';
import { isObject, type Outcome, type RpcErrorObject } from './message.js';
import type { InitKind } from './package.js';
import { Service } from './service.js';
import { Sleep } from './sleep.js';

const METHOD_NOT_FOUND = -32601;
const INVALID_PARAMS = -32602;

export interface Options {
  readonly socket: string;
  readonly packagePath: string;
  readonly identity: Identity;
  /** Milliseconds without anything to do after which it sleeps; null when it never does. */
  readonly sleepAfterMs: number | null;
  /** Whether anything of the package's keeps the process alive. */
  readonly hasWork: () => boolean;
  /** Called after an `init` or a `start` has succeeded. */
  readonly onUp: () => void;
  /** Called after `exit` was answered, or when it falls asleep. */
  readonly onExit: () => void;
}

/** Parameters of the wrong shape. */
class InvalidParams extends Error {}

/** Connects; returns the connection, which lives until it is closed. */
export function runRuntime({ socket, packagePath, identity, sleepAfterMs, hasWork, onUp, onExit }: Options): Connection {
  const service = new Service(packagePath, (method, params) => connection.call(method, params));
  const { generation } = identity;
  const sleep = new Sleep(generation === null ? null : sleepAfterMs, {
    isIdle: () => service.isIdle && connection.isIdle && !hasWork(),
    ask: () => connection.call('fall-asleep', { generation }),
    end: () => void connection.close().then(onExit),
  });
  const connection = new Connection(socket, identity, {
    request: async (method, params) => {
      sleep.stir();
      const outcome = await answer(service, method, params);
      if ((method === 'init' || method === 'start') && 'result' in outcome) onUp();
      if (method === 'exit' && 'result' in outcome) {
        // After this turn: the answer is written when it starts, and sent when closing is done.
        setImmediate(() => void connection.close().then(onExit));
      }
      sleep.stir();
      return outcome;
    },
    notification: (method, params) => {
      sleep.stir();
      const id = isObject(params) ? params['id'] : undefined;
      if (method === 'callback' && typeof id === 'number') service.deliver(id);
    },
    returned: () => service.hostReturned(),
  });
  connection.open();
  return connection;
}

async function answer(service: Service, method: string, params: unknown): Promise<Outcome> {
  const toError = method === 'execute' ? procedureError : lifeCycleError;
  try {
    const work = dispatch(service, method, params);
    if (work === null) return { error: { code: METHOD_NOT_FOUND, message: `there is no method ${method}` } };
    return { result: await work };
  } catch (thrown) {
    if (thrown instanceof InvalidParams) return { error: invalidParams(method, thrown) };
    console.error(`${method} failed:`, thrown);
    return { error: toError(thrown) };
  }
}

function dispatch(service: Service, method: string, params: unknown): Promise<unknown> | null {
  const given = isObject(params) ? params : {};
  switch (method) {
    case 'init':
      return service.init(text(given, 'id'), initKind(given['kind']));
    case 'start':
      return service.start();
    case 'stop':
      return service.stop();
    case 'exit':
      return service.exit(text(given, 'id'), given['target'] === null ? null : text(given, 'target'));
    case 'execute':
      return service.execute(text(given, 'id'), text(given, 'procedure'), given['input']);
    default:
      return null;
  }
}

function text(params: Record<string, unknown>, name: string): string {
  const value = params[name];
  if (typeof value !== 'string') throw new InvalidParams(`\`${name}\` must be a string`);
  return value;
}

function initKind(value: unknown): InitKind {
  if (value === null || value === 'install' || value === 'update' || value === 'restore') return value;
  throw new InvalidParams('`kind` must be install, update, restore or null');
}

function invalidParams(method: string, { message }: Error): RpcErrorObject {
  return { code: INVALID_PARAMS, message: `parameters of ${method}: ${message}` };
}
