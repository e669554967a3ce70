/** The test harness: see {@link withHost}. */
export { TestHost, withHost, type EffectCall, type HostOptions } from './host.js';
export { Endless, Programs, type ProgramCall, type Script } from './programs.js';
