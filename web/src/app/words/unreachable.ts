/** Ends a `switch` over a union: the compiler refuses when a case is missing. */
export function unreachable(value: never): never {
  throw new Error(`no case for ${JSON.stringify(value)}`);
}
