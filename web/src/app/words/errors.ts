/** Failed calls in words for a toast or a form. */
import { RpcError, UnreachableError } from '../api/rpc';
import { sentenceEnd } from './status';

export function errorSentence(error: unknown): string {
  return error instanceof Error ? sentenceEnd(error.message) : 'Something went wrong. Try again.';
}

/** The password was right, and two-step login wants a code, too. */
export function needsCode(error: unknown): boolean {
  return error instanceof RpcError && error.code === 1001;
}

/** What the login form says under the password field. */
export function loginSentence(error: unknown): string {
  if (error instanceof RpcError && error.code === 7) return 'That password is not right. Try again.';
  if (error instanceof RpcError && error.code === 1002) {
    return 'That code is not right, or was used before. Wait for the next one.';
  }
  if (error instanceof RpcError && error.code === 37) {
    return 'Too many tries. Wait 20 seconds, then try again.';
  }
  if (error instanceof UnreachableError) return 'The server does not answer. Is it on, and are you on its network?';
  return errorSentence(error);
}
