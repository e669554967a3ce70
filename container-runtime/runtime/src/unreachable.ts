/** Ends a `switch` that has a case for every variant: one more variant, and this does not compile. */
export function unreachable(value: never): never {
  throw new Error(`there is no case for ${JSON.stringify(value)}`);
}
