/** Pictures of every screen for human eyes; run with SHOTS=<folder>. */
import type { Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { DESKTOP, launch, PHONE, visit } from './browser.ts';
import { ContractServer } from './contract-server.ts';
import { manifest } from './data.ts';

const folder = process.env['SHOTS'];

describe.skipIf(!folder)('pictures', () => {
  let browser: Browser;
  beforeAll(async () => {
    browser = await launch();
  });
  afterAll(() => browser.close());

  it.each([
    ['desktop-light', DESKTOP, false],
    ['desktop-dark', DESKTOP, true],
    ['phone-light', PHONE, false],
    ['phone-dark', PHONE, true],
  ])('%s', async (name, viewport, dark) => {
    const server = new ContractServer(new URL('../dist/browser', import.meta.url).pathname);
    const { page, context, complaints } = await visit(browser, await server.listen(), { viewport, dark });
    const shot = async (what: string, fullPage = true) => {
      await page.waitForTimeout(350);
      await page.screenshot({ path: `${folder}/${name}-${what}.png`, fullPage });
    };
    await page.goto('/');
    await page.getByLabel('Password').fill('wrong');
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByText('not right').waitFor();
    await shot('login');
    await page.getByLabel('Password').fill(server.password);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('heading', { name: 'Services' }).waitFor();
    await shot('services');
    await page.getByRole('link', { name: 'Syncthing', exact: true }).click();
    await page.getByText('Scanning').first().waitFor();
    await shot('overview');
    await page.goto('/access');
    await page.getByText('Firefox on Linux').waitFor();
    await shot('access');
    await page.getByRole('button', { name: 'Make a token' }).click();
    await shot('token', false);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.getByRole('button', { name: 'Set up' }).click();
    await page.getByLabel('Password').fill(server.password);
    await page.getByRole('button', { name: 'Go on' }).click();
    await page.getByRole('img', { name: 'QR code' }).waitFor();
    await shot('two-step', false);
    await page.getByRole('button', { name: 'Cancel' }).click();
    await page.goto('/services/miniflux');
    await page.getByRole('button', { name: 'Run' }).click();
    await page.getByRole('button', { name: 'Make one up' }).click();
    await shot('task', false);
    await page.getByRole('button', { name: 'Submit' }).click();
    await page.getByText('Write these down').waitFor();
    await shot('result', false);
    await page.goto('/services/hello/actions');
    await page.getByRole('button', { name: 'Run Settings' }).waitFor();
    await shot('actions');
    await page.getByRole('button', { name: 'Uninstall the service' }).click();
    await shot('uninstall', false);
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Run Settings' }).click();
    await page.getByLabel('Greeting').fill('');
    await page.setViewportSize({ width: viewport.width, height: 2200 });
    await page.getByLabel('Proxy').selectOption('socks');
    await page.getByRole('button', { name: 'Submit' }).click();
    await shot('form', false);
    await page.setViewportSize(viewport);
    await page.goto('/services/hello/logs');
    await page.getByText('retrying in 1 s').waitFor();
    await shot('logs');
    await page.goto('/services/hello/why');
    await page.getByText('SIGKILL').waitFor();
    await shot('why');
    await page.goto('/services/hello/about');
    await shot('about');
    await page.goto('/services');
    await page.getByRole('heading', { name: 'Services' }).waitFor();
    server.goAway();
    await page.getByText('No connection').waitFor();
    await shot('away');
    server.comeBack();
    await page.getByText('No connection').waitFor({ state: 'detached' });
    server.status('hello', { error: { details: 'Could not mount the volume `main` at /data; is the data disk full?', debug: 'ENOSPC', info: null } });
    server.status('syncthing', { started: null, health: {} });
    server.commit({
      op: 'replace',
      path: '/packageData/syncthing/parked',
      value: { since: new Date().toISOString(), reason: 'The daemon main ended 6 times in 60 s', nextProbe: new Date(Date.now() + 240_000).toISOString() },
    });
    const phases = [
      { name: 'Uploading', progress: true },
      { name: 'Checking signatures', progress: true },
      { name: 'Unpacking', progress: { done: 40, total: 100, units: 'bytes' } },
      { name: 'Setting up', progress: null },
    ];
    const progress = { overall: { done: 60, total: 100, units: null }, phases };
    server.commit({
      op: 'replace',
      path: '/packageData/miniflux/stateInfo',
      value: { state: 'installing', installingInfo: { newManifest: manifest('miniflux', 'Miniflux', '2.2.13:1', 'x', 'y'), progress } },
    });
    await shot('states');
    for (const id of ['hello', 'miniflux', 'syncthing']) {
      await page.goto(`/services/${id}`);
      await page.getByRole('heading').first().waitFor();
      await shot(`state-${id}`);
    }
    await page.goto('/services');
    await page.getByRole('button', { name: 'Install from a file' }).click();
    await shot('sideload', false);
    await page.getByRole('button', { name: 'Close' }).click();
    await page.getByRole('button', { name: 'Stop Syncthing' }).click();
    await shot('toast', false);
    for (const id of ['hello', 'miniflux', 'syncthing']) server.commit({ op: 'remove', path: `/packageData/${id}` });
    await shot('empty');
    if (complaints.some(c => !/502|WebSocket/.test(c))) console.log(complaints);
    await context.close();
    await server.close();
  });
});
