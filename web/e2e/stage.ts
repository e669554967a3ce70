/** One browser per file; a server and a page of its own for every test. */
import type { Browser, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { launch, visit, type Visit } from './browser.ts';
import { ContractServer } from './contract-server.ts';

export interface Stage {
  readonly server: ContractServer;
  readonly page: Page;
  readonly url: string;
  readonly complaints: string[];
}

/** Where `npm run build` puts the UI. */
export const DIST = new URL('../dist/browser', import.meta.url).pathname;

export interface Theatre {
  /** A fresh server and a page that has not loaded anything yet. */
  raise(options?: { viewport?: { width: number; height: number }; dark?: boolean }): Promise<Stage>;
  /** The same, logged in and at `path`. */
  enter(path: string, options?: { viewport?: { width: number; height: number }; dark?: boolean }): Promise<Stage>;
  /** For tests that make the browser complain on purpose. */
  allow(pattern: RegExp): void;
}

export function theatre(): Theatre {
  let browser: Browser;
  const open: { visit: Visit; server: ContractServer }[] = [];
  let allowed: RegExp[] = [];

  beforeAll(async () => {
    browser = await launch();
  });
  afterAll(() => browser.close());
  afterEach(async () => {
    const complaints = open.flatMap(o => o.visit.complaints).filter(c => !allowed.some(a => a.test(c)));
    for (const { visit, server } of open.splice(0)) {
      await visit.context.close();
      await server.close();
    }
    allowed = [];
    expect(complaints).toEqual([]);
  });

  const raise: Theatre['raise'] = async (options = {}) => {
    const server = new ContractServer(DIST);
    const url = await server.listen();
    const seen = await visit(browser, url, options);
    open.push({ visit: seen, server });
    return { server, page: seen.page, url, complaints: seen.complaints };
  };
  return {
    raise,
    async enter(path, options) {
      const stage = await raise(options);
      await stage.page.goto(path);
      await logIn(stage);
      await stage.page.locator('cop-header').waitFor();
      return stage;
    },
    allow(pattern) {
      allowed.push(pattern);
    },
  };
}

export async function logIn({ page, server }: Stage): Promise<void> {
  await page.getByLabel('Password').fill(server.password);
  await page.getByRole('button', { name: 'Log in' }).click();
}

/** What the UI last sent for a method. */
export function lastCall(server: ContractServer, method: string): unknown {
  return server.calls.filter(c => c.method === method).at(-1)?.params;
}
