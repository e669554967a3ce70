/**
 * Uploads a package file and follows its install to the end.
 *
 * ```text
 *   asking ──► uploading ──► installing ──► done
 *      └───────────┴─────────────┴──► failed
 * ```
 */
import { fullProgress, type FullProgress } from '../api/schema';
import { UnreachableError } from '../api/rpc';

export type Sideload =
  | { readonly kind: 'asking' }
  | { readonly kind: 'uploading'; readonly sent: number; readonly total: number }
  | { readonly kind: 'installing'; readonly progress: FullProgress }
  | { readonly kind: 'done' };

/** The server has the whole package, but what became of it was not heard. */
export class ArrivedError extends Error {
  override readonly name = 'ArrivedError';
  constructor(options?: ErrorOptions) {
    super('The connection was lost after the package had arrived. The list of services shows how its installation goes on.', options);
  }
}

export interface SideloadLine {
  ticket(): Promise<{ upload: string; progress: string }>;
  socket(guid: string): WebSocket;
}

/**
 * Resolves when the package is installed. Closing the page after the upload does not stop it.
 *
 * @throws {Error} with the server's words when the package is refused or cannot be installed.
 * @throws {UnreachableError} when the line is lost before all of it was sent.
 * @throws {ArrivedError} when the line is lost after that and before the server said how it ended.
 */
export async function sideload(
  file: File,
  line: SideloadLine,
  report: (state: Sideload) => void,
  signal: AbortSignal,
): Promise<void> {
  report({ kind: 'asking' });
  const { upload, progress } = await line.ticket();
  signal.throwIfAborted();
  const socket = line.socket(progress);
  let sent = false;
  let last: FullProgress | null = null;
  const ended = follow(socket, frame => {
    last = frame;
    // Until all bytes are out, the upload's own count is the better news.
    if (sent) report({ kind: 'installing', progress: frame });
  });
  const uploaded = send(file, upload, report, signal).then(
    () => {
      sent = true;
      report({ kind: 'installing', progress: last ?? { overall: false, phases: [] } });
    },
    (error: unknown) => {
      // The socket usually says why; do not wait for it for ever.
      setTimeout(() => socket.close(), LAST_WORDS_MS);
      throw error;
    },
  );
  const [end, upEnd] = await Promise.allSettled([ended, uploaded]);
  if (end.status === 'rejected' && !(end.reason instanceof UnreachableError)) throw end.reason;
  if (upEnd.status === 'rejected') throw upEnd.reason;
  if (end.status === 'rejected') throw new ArrivedError({ cause: end.reason });
  report({ kind: 'done' });
}

const LAST_WORDS_MS = 2_000;
/** A close frame holds 123 bytes of reason; what is nearly that long has been cut, at a whole character of up to 4. */
const FULL_REASON = 119;

const byteLength = (text: string) => new TextEncoder().encode(text).length;

/** Resolves when the server says the install is complete; rejects with its words when it is not. */
function follow(socket: WebSocket, frame: (progress: FullProgress) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    let complete = false;
    socket.onmessage = event => {
      const parsed = fullProgress.safeParse(JSON.parse(String(event.data)));
      if (!parsed.success) return;
      complete = parsed.data.overall === true;
      frame(parsed.data);
    };
    socket.onclose = ({ code, reason }) => {
      if (complete || (code === 1000 && reason === 'complete')) resolve();
      else if (reason) reject(new Error(byteLength(reason) > FULL_REASON ? `${reason.trimEnd()}…` : reason));
      else reject(new UnreachableError('package.sideload'));
    };
  });
}

/** `XMLHttpRequest`, because `fetch` does not tell how much has been sent. */
function send(file: File, guid: string, report: (state: Sideload) => void, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('POST', `/rest/rpc/${encodeURIComponent(guid)}`);
    request.setRequestHeader('Content-Type', 'application/octet-stream');
    request.upload.onprogress = ({ loaded, total }) => report({ kind: 'uploading', sent: loaded, total });
    request.onload = () =>
      request.status < 300 ? resolve() : reject(new Error(`The server refused the upload (HTTP ${request.status}).`));
    request.onerror = () => reject(new UnreachableError('package.sideload'));
    request.onabort = () => reject(new DOMException('The upload was cancelled.', 'AbortError'));
    signal.addEventListener('abort', () => request.abort());
    request.send(file);
  });
}
