/** A Chromium that trusts one root certificate and finds `.local` names at one address. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Browser } from 'playwright-core';
import { launch } from './browser.ts';

export interface Trusting {
  readonly browser: Browser;
  close(): Promise<void>;
}

/** @throws when `certutil` (Debian: libnss3-tools) is missing or does not take the certificate. */
export async function launchTrusting(ca: string, address: string): Promise<Trusting> {
  // Chromium looks for certificates in its user's home; a home of its own leaves the real one alone.
  const home = mkdtempSync(join(tmpdir(), 'coppice-browser-'));
  const forget = () => rmSync(home, { recursive: true, force: true });
  try {
    const database = `sql:${join(home, '.pki/nssdb')}`;
    mkdirSync(join(home, '.pki/nssdb'), { recursive: true });
    execFileSync('certutil', ['-N', '--empty-password', '-d', database]);
    execFileSync('certutil', ['-A', '-d', database, '-n', 'coppice', '-t', 'C,,', '-i', ca]);
    const browser = await launch({ flags: [`--host-resolver-rules=MAP *.local ${address}`], env: { ...process.env, HOME: home } });
    return {
      browser,
      async close() {
        await browser.close();
        forget();
      },
    };
  } catch (error) {
    forget();
    throw error;
  }
}
