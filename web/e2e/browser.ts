/** Chromium with a page that fails the test on any console error, policy violation or missing file. */
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { expect } from 'vitest';

const FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export function launch({ flags = [], env = process.env }: { flags?: string[]; env?: NodeJS.ProcessEnv } = {}): Promise<Browser> {
  return chromium.launch({ executablePath: process.env['CHROMIUM'] ?? '/usr/bin/chromium', args: [...FLAGS, ...flags], env });
}

export const DESKTOP = { width: 1280, height: 860 };
export const PHONE = { width: 390, height: 844 };

export interface Visit {
  readonly page: Page;
  readonly context: BrowserContext;
  /** What went wrong in the page so far. */
  readonly complaints: string[];
}

export async function visit(browser: Browser, url: string, options: { viewport?: { width: number; height: number }; dark?: boolean } = {}): Promise<Visit> {
  const context = await browser.newContext({
    baseURL: url,
    viewport: options.viewport ?? DESKTOP,
    colorScheme: options.dark ? 'dark' : 'light',
    locale: 'en-GB',
    acceptDownloads: true,
    permissions: ['clipboard-read', 'clipboard-write'],
  });
  const page = await context.newPage();
  page.setDefaultTimeout(10_000);
  const complaints: string[] = [];
  page.on('console', message => {
    if (message.type() === 'error') complaints.push(message.text());
  });
  page.on('pageerror', error => complaints.push(String(error)));
  page.on('response', response => {
    if (response.status() === 404) complaints.push(`missing: ${response.url()}`);
  });
  page.on('request', request => {
    if (!request.url().startsWith(url) && !/^(data|blob):/.test(request.url())) complaints.push(`left the server: ${request.url()}`);
  });
  return { page, context, complaints };
}

/** Clicks a checkbox, and waits until the page shows it so: on a busy machine that is a moment later. */
export async function toggle(page: Page, label: string, on: boolean): Promise<void> {
  const box = page.getByLabel(label);
  await box.click();
  await expect.poll(() => box.isChecked()).toBe(on);
}
