import { readFile } from 'node:fs/promises';
import type { Page } from 'playwright-core';
import { describe, expect, it } from 'vitest';
import { toggle } from './browser.ts';
import { manifest, type JsonObject } from './data.ts';
import { lastCall, theatre } from './stage.ts';

const stage = theatre();
const row = (page: Page, title: string) => page.locator('cop-service-row', { hasText: title });

describe('the list', () => {
  it('starts, stops and restarts a service and shows each state as it comes', async () => {
    const { page, server } = await stage.enter('/services');
    const hello = row(page, 'Hello');
    await hello.getByText('Running').waitFor();
    await hello.getByRole('button', { name: 'Stop Hello' }).click();
    await hello.getByText('Stopping').waitFor();
    server.status('hello', { started: null, health: {} });
    await hello.getByText('Stopped').waitFor();
    await hello.getByRole('button', { name: 'Start Hello' }).click();
    await hello.getByText('Starting').waitFor();
    server.up('hello');
    await hello.getByText('Running').waitFor();
    await hello.getByRole('button', { name: 'Restart Hello' }).click();
    await hello.getByText('Restarting').waitFor();
    expect(server.calls.map(c => c.method).filter(m => /start|stop/.test(m))).toEqual([
      'package.stop',
      'package.start',
      'package.restart',
    ]);
  });

  it('says in the server\'s words why a command was refused', async () => {
    const { page, server } = await stage.enter('/services');
    server.refuse.set('package.stop', 'hello is being backed up; wait or cancel the backup');
    await row(page, 'Hello').getByRole('button', { name: 'Stop Hello' }).click();
    await page.getByText('hello is being backed up; wait or cancel the backup.').waitFor();
    await row(page, 'Hello').getByText('Running').waitFor();
  });

  it('links to the service at its own name', async () => {
    const { page } = await stage.enter('/services');
    const link = row(page, 'Hello').getByRole('link', { name: 'Open Hello in a new tab' });
    expect([await link.getAttribute('href'), await link.getAttribute('rel')]).toEqual(['https://hello-grove.local', 'noopener']);
  });

  it('says what to do when there is no service yet', async () => {
    const { page, server } = await stage.enter('/services');
    for (const id of ['hello', 'miniflux', 'syncthing']) server.commit({ op: 'remove', path: `/packageData/${id}` });
    await page.getByRole('heading', { name: 'Nothing planted yet' }).waitFor();
    await page.getByRole('button', { name: 'Install from a file' }).click();
    await page.getByText('Choose a package file').waitFor();
  });
});

describe('installing from a file', () => {
  const file = { name: 'notes.s9pk', mimeType: 'application/octet-stream', buffer: Buffer.alloc(300_000, 7) };
  const progress = (phase: number): JsonObject => ({
    overall: { done: phase, total: 3, units: 'steps' },
    phases: ['Uploading', 'Unpacking', 'Setting up'].map((name, i) => ({ name, progress: i < phase ? true : i === phase ? false : null })),
  });

  it('uploads, follows the phases, and ends with the service in the list', async () => {
    const { page, server } = await stage.enter('/services');
    await page.getByRole('button', { name: 'Install from a file' }).click();
    await page.locator('input[type=file]').setInputFiles(file);
    await expect.poll(() => server.uploads.length).toBe(1);
    expect(server.uploads[0]?.equals(file.buffer)).toBe(true);
    server.report(progress(1));
    await page.locator('cop-sideload-dialog').getByText('Unpacking').waitFor();
    server.commit({
      op: 'add',
      path: '/packageData/notes',
      value: {
        ...server.package('hello'),
        hosts: {},
        stateInfo: { state: 'installing', installingInfo: { newManifest: manifest('notes', 'Notes', '2.0:0', 'x', 'y'), progress: progress(1) } },
      },
    });
    await row(page, 'Notes').getByText('Installing').waitFor();
    server.report({ ...progress(3), overall: true });
    server.endSideload(1000, 'complete');
    await page.getByText('notes.s9pk is installed.').waitFor();
    await expect.poll(() => page.locator('cop-sideload-dialog').count()).toBe(0);
  });

  it('shows the server\'s reason when the package is refused, and lets the user try another', async () => {
    const { page, server } = await stage.enter('/services');
    await page.getByRole('button', { name: 'Install from a file' }).click();
    await page.locator('input[type=file]').setInputFiles(file);
    await expect.poll(() => server.uploads.length).toBe(1);
    server.endSideload(1011, 'notes.s9pk: the signature does not match; get the file again');
    await page.getByText('notes.s9pk: the signature does not match; get the file again.').waitFor();
    await page.getByText('Choose a package file').waitFor();
  });

  it('turns away a file that is no package before sending a byte', async () => {
    const { page, server } = await stage.enter('/services');
    await page.getByRole('button', { name: 'Install from a file' }).click();
    await page.locator('input[type=file]').setInputFiles({ ...file, name: 'holiday.jpg' });
    await page.getByText('holiday.jpg is not a package').waitFor();
    expect(lastCall(server, 'package.sideload')).toBeUndefined();
  });
});

describe('the page of a service', () => {
  it('is reached and used with the keyboard alone', async () => {
    const { page, server } = await stage.enter('/services');
    await page.getByRole('link', { name: 'Hello', exact: true }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Running' }).waitFor();
    await page.getByRole('button', { name: 'Stop', exact: true }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Stopping' }).waitFor();
    expect(lastCall(server, 'package.stop')).toEqual({ id: 'hello' });
  });

  it('lists health checks with state and message', async () => {
    const { page, server } = await stage.enter('/services/syncthing');
    const sync = page.getByRole('row', { name: /Sync/ }).filter({ hasText: 'Scanning' });
    await sync.getByText('Loading').waitFor();
    server.commit({
      op: 'replace',
      path: '/packageData/syncthing/statusInfo/health/sync',
      value: { name: 'Sync', result: 'failure', message: 'no space left' },
    });
    await page.getByRole('row', { name: /no space left/ }).getByText('Failing').waitFor();
    await page.getByRole('heading', { name: 'Unhealthy' }).waitFor();
  });

  it('tells a broken service\'s reason', async () => {
    const { page, server } = await stage.enter('/services/hello');
    server.status('hello', { error: { details: 'The image `main` is missing; reinstall the package', debug: 'stack', info: null } });
    await page.getByText('The image `main` is missing; reinstall the package').waitFor();
    await page.getByText('stack').waitFor({ state: 'hidden' });
    await page.getByText('Full message').click();
    await page.getByText('stack').waitFor();
  });

  it('shows the phases of an install', async () => {
    const { page, server } = await stage.enter('/services/hello');
    const phases = [
      { name: 'Unpacking', progress: true },
      { name: 'Setting up', progress: { done: 1, total: 2, units: null } },
    ];
    const progress = { overall: { done: 3, total: 4, units: null }, phases };
    server.commit({
      op: 'replace',
      path: '/packageData/hello/stateInfo',
      value: { state: 'installing', installingInfo: { newManifest: manifest('hello', 'Hello', '1.1:0', 'x', 'y'), progress } },
    });
    await page.getByText('Setting up 50 %').waitFor();
    await expect.poll(() => page.getByRole('progressbar', { name: 'Install progress' }).getAttribute('aria-valuenow')).toBe('75');
    server.commit({ op: 'remove', path: '/packageData/hello' });
    await page.getByText('There is no service “hello” here').waitFor();
  });

  it('explains restarts as they happen', async () => {
    const { page, server } = await stage.enter('/services/hello/why');
    await page.getByText('It did not end by its own fault').waitFor();
    server.commit({
      op: 'replace',
      path: '/packageData/hello/restarts',
      value: {
        '3': {
          seq: 3,
          at: new Date().toISOString(),
          what: 'runtime',
          cause: { kind: 'oom', kills: 1 },
          because: [],
          action: 'it is started again',
          by: { who: 'coppice' },
          ranMs: 4000,
          logs: ['allocating'],
        },
      },
    });
    await page.getByRole('heading', { name: 'The runtime ran out of memory and was ended by the kernel.' }).waitFor();
    await page.getByText('allocating').waitFor();
  });

  it('keeps the data on a plain uninstall, and deletes it only when told so', async () => {
    const { page, server } = await stage.enter('/services/hello/actions');
    await page.getByRole('button', { name: 'Uninstall the service' }).click();
    await page.getByRole('button', { name: 'Uninstall', exact: true }).click();
    await page.getByText('Hello is being uninstalled.').waitFor();
    expect(lastCall(server, 'package.uninstall')).toEqual({ id: 'hello', soft: true, force: false });
    await page.getByRole('heading', { name: 'Services' }).waitFor();
    await page.goto('/services/syncthing/actions');
    await page.getByRole('button', { name: 'Uninstall the service' }).click();
    await toggle(page, 'Delete the data', true);
    await page.getByRole('button', { name: 'Uninstall and delete data' }).click();
    await page.getByText('Syncthing is being uninstalled.').waitFor();
    expect(lastCall(server, 'package.uninstall')).toEqual({ id: 'syncthing', soft: false, force: false });
  });

  it('shows a package\'s texts as text, whatever they look like', async () => {
    const { page, server } = await stage.enter('/services/hello/actions');
    const title = '<img src=x> & <b>Hello</b>';
    server.commit({ op: 'replace', path: '/packageData/hello/stateInfo/manifest/title', value: title });
    await page.getByRole('heading', { name: title }).waitFor();
    await page.getByRole('button', { name: 'Uninstall the service' }).click();
    await page.getByRole('heading', { name: `Uninstall ${title}?` }).waitFor();
  });
});

describe('the log', () => {
  it('is live, searchable and goes back', async () => {
    const { page, server } = await stage.enter('/services/hello/logs');
    await page.getByText('retrying in 1 s').waitFor();
    await page.getByText('Live', { exact: true }).waitFor();
    server.log('a line from just now');
    await page.getByText('a line from just now').waitFor();
    await page.getByLabel('Find in the log').fill('GET main 404');
    await page.getByText('1 of 8 lines').waitFor();
    await expect.poll(() => page.locator('.line').count()).toBe(1);
    await page.getByLabel('Find in the log').fill('');
    await page.getByRole('button', { name: 'Show older lines' }).click();
    await page.getByText('runtime: init install').waitFor();
    expect(await page.locator('.line').first().innerText()).toContain('runtime: init install');
  });

  it('is downloaded whole, older lines first', async () => {
    const { page } = await stage.enter('/services/hello/logs');
    await page.getByText('retrying in 1 s').waitFor();
    const [download] = await Promise.all([page.waitForEvent('download'), page.getByRole('button', { name: 'Download' }).click()]);
    const lines = (await readFile(await download.path(), 'utf8')).trim().split('\n');
    expect(download.suggestedFilename()).toBe('hello.log');
    expect(lines.map(l => l.slice(25))).toEqual([
      'runtime runtime: init install',
      'runtime runtime: init done',
      'main listening on 0.0.0.0:80',
      'main GET / 200 0.4 ms',
      'main warning: cache is cold, the first request may be slow',
      'main GET /favicon.ico 404',
      'main ERROR: upstream closed the connection before the answer was complete',
      'main retrying in 1 s',
      'main GET / 200 0.3 ms',
    ]);
  });
});
