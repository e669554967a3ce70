/**
 * The built UI as the real server serves it, in a Chromium that trusts its certificate; nothing is played by the test.
 *
 * Skipped unless the environment names a server: COPPICE_URL, COPPICE_PASSWORD, COPPICE_CA (a file), COPPICE_EXAMPLES (the
 * folder with hello.s9pk and, for its chapter, miniflux.s9pk), COPPICE_ADDRESS (what all `.local` names lead to; 127.0.0.1).
 * COPPICE_DATA_DIR, when the server runs on this machine and we are root, adds the chapters that kill its processes.
 * SHOTS=/folder keeps a picture of every step. Services it uses must not be installed before, and are gone after it.
 *
 * The tests are one visit and build on each other.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Locator, Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { toggle, visit } from './browser.ts';
import { coreOf, daemonsOf, fromEnvironment, type RealServer } from './real-server.ts';
import { launchTrusting, type Trusting } from './trust.ts';

const found = fromEnvironment(process.env);
if (typeof found === 'string') console.info(found);
/** Tests that use it are skipped when there is none. */
const server = (typeof found === 'string' ? {} : found) as RealServer;
const data = server.data ?? '';

/** A browser on the server's own machine sees every container's network come and go, and drops what it was asking for. */
const ALWAYS = [/ERR_NETWORK_CHANGED/];
/** Long enough for a busy machine to start a container; every wait ends as soon as the state is there. */
const PATIENCE = 40_000;

let trusting: Trusting;
let page: Page;
let complaints: string[];
/** A step failed, so the next ones would start from somewhere unknown. */
let broken = false;
/** What a test provoked on purpose. */
let allowed: RegExp[] = [...ALWAYS];
/** Of every subscription: whether it asked to resume, and whether it got the whole document all the same. */
const subscriptions: { asked: boolean; dumped: boolean }[] = [];

const heading = (name: string | RegExp) => page.getByRole('heading', { name });
const button = (name: string) => page.getByRole('button', { name, exact: true });
const row = (title: string): Locator => page.locator('cop-service-row', { hasText: title });

async function shot(name: string): Promise<void> {
  const folder = process.env['SHOTS'];
  if (!folder) return;
  mkdirSync(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `real-${name}.png`), animations: 'disabled' });
}

async function install(name: string): Promise<void> {
  await button('Install from a file').click();
  await page.locator('input[type=file]').setInputFiles(join(server.packages, `${name}.s9pk`));
}

/** Of the open service's page. */
const tab = (name: string) => page.locator('tui-tabs a', { hasText: name });

/** Marks the page, so that a later look shows whether it is still the same one. */
const mark = () => page.evaluate(() => Object.assign(globalThis, { marked: true }));
const marked = () => page.evaluate(() => 'marked' in globalThis);

describe.skipIf(typeof found === 'string')('the real server', { timeout: 120_000 }, () => {
  beforeAll(async () => {
    trusting = await launchTrusting(server.ca, server.address);
    ({ page, complaints } = await visit(trusting.browser, server.url));
    page.setDefaultTimeout(PATIENCE);
    page.on('response', response => {
      if (!response.url().endsWith('/rpc/v1') || !response.request().postData()?.includes('"db.subscribe"')) return;
      const asked = response.request().postData()?.includes('"from"') ?? false;
      // An answer that never arrived is asked for again; only answers count.
      void response.text().then(text => subscriptions.push({ asked, dumped: text.includes('"dump":') }), () => undefined);
    });
  });
  afterAll(() => trusting?.close());
  beforeEach(context => {
    context.skip(broken, 'an earlier step of the visit failed');
    context.onTestFailed(async () => {
      broken = true;
      await shot('failed');
    });
  });
  afterEach(() => {
    const left = complaints.splice(0).filter(complaint => !allowed.some(pattern => pattern.test(complaint)));
    allowed = [...ALWAYS];
    expect(left).toEqual([]);
  });

  it('is reached over HTTPS with a certificate of its own authority, and refuses a wrong password', async () => {
    await page.goto('/');
    await page.getByLabel('Password').fill('certainly wrong');
    await page.keyboard.press('Enter');
    await page.getByText('That password is not right. Try again.').waitFor();
    await shot('login');
  });

  it('lets its owner in, to a list without what this test brings', async () => {
    await page.getByLabel('Password').fill(server.password);
    await button('Log in').click();
    await heading('Services').waitFor();
    await mark();
    await button('Install from a file').waitFor();
    expect(await row('Hello').count(), 'uninstall hello first').toBe(0);
    await shot('services-before');
  });

  it('refuses a broken package, with the reason', async () => {
    await button('Install from a file').click();
    const whole = readFileSync(join(server.packages, 'hello.s9pk'));
    const buffer = whole.subarray(0, Math.floor(whole.length / 2));
    await page.locator('input[type=file]').setInputFiles({ name: 'half.s9pk', mimeType: 'application/octet-stream', buffer });
    await page.locator('cop-sideload-dialog').getByRole('alert').filter({ hasText: /\S/ }).waitFor();
    await page.getByText('Choose a package file').waitFor();
    await shot('refused');
    await button('Close').click();
    expect(await row('Hello').count()).toBe(0);
  });

  it('installs a package that is sent from the browser', async () => {
    await install('hello');
    await page.getByText('Hello is installed').or(row('Hello').getByText('Stopped')).first().waitFor();
    await row('Hello').getByText('Stopped').waitFor();
    await shot('services-installed');
  });

  it('starts it, and the list follows until it is healthy', async () => {
    await button('Start Hello').click();
    await row('Hello').getByText('Running').waitFor();
    await shot('services-running');
  });

  it('shows its health and its own address', async () => {
    await page.getByRole('link', { name: 'Hello', exact: true }).click();
    await healthy();
    const own = new URL(server.url);
    own.hostname = `hello-${own.hostname}`;
    const { href } = own;
    await page.getByRole('link', { name: href.replace(/\/$/, '') }).first().waitFor();
    await shot('overview');
  });

  it('runs an action with the form that the package made, checked before it is sent', async () => {
    await tab('Actions').click();
    await button('Run Set greeting').click();
    const greeting = page.getByRole('textbox', { name: 'Greeting' });
    await greeting.waitFor();
    await expect.poll(() => greeting.inputValue()).toBe('Hello from Coppice');
    await greeting.fill(' spaced');
    await button('Submit').click();
    await page.getByText('One line, without spaces around it').first().waitFor();
    await shot('action-refused');
    await greeting.fill('Servus from the browser');
    await button('Submit').click();
    await heading('Greeting set').waitFor();
    await page.getByText('The page now says “Servus from the browser”.').waitFor();
    await shot('action-done');
    await button('Done').click();
  });

  it('opens the interface in a new tab, at the name of the service', async () => {
    await healthy();
    const other = await inNewTab(page.getByRole('link', { name: 'Open Hello in a new tab' }));
    await other.getByText('Servus from the browser').waitFor();
    expect(new URL(other.url()).hostname).toBe(`hello-${new URL(server.url).hostname}`);
    await other.close();
  });

  it('follows the log while it is written', async () => {
    await tab('Logs').click();
    await page.getByText('Live', { exact: true }).waitFor();
    await page.locator('.line').first().waitFor();
    const newest = () => page.locator('.line time').last().getAttribute('datetime');
    const before = Date.parse((await newest()) ?? '');
    await tab('Overview').click();
    await button('Restart').click();
    await tab('Logs').click();
    await expect.poll(async () => Date.parse((await newest()) ?? ''), { timeout: PATIENCE }).toBeGreaterThan(before);
    await shot('logs');
    await healthy();
  });

  it.skipIf(!data)('says why, when its daemon is killed, and has it running again', async () => {
    const [killed] = daemonsOf(data, 'hello', '/usr/bin/hello');
    if (killed === undefined) throw new Error('the daemon of hello was not found');
    await tab('Why').click();
    process.kill(killed, 'SIGKILL');
    await heading(/was killed \(SIGKILL\)/).waitFor();
    await shot('why');
    await expect.poll(() => daemonsOf(data, 'hello', '/usr/bin/hello').filter(pid => pid !== killed).length, { timeout: PATIENCE }).toBe(1);
    await healthy();
    await shot('overview-after-kill');
  });

  it.skipIf(!data)('goes on after the core was killed: says so meanwhile, resumes where it was, needs no reload', async () => {
    allowed = [...ALWAYS, /WebSocket|50[234]/];
    const core = coreOf(data);
    if (core === null) throw new Error('the core was not found');
    const before = subscriptions.length;
    const banner = page.getByText(/No connection to your server|Your server is starting/);
    const said = banner.waitFor().then(() => shot('core-away'));
    process.kill(core, 'SIGKILL');
    await said;
    await banner.waitFor({ state: 'hidden' });
    await expect.poll(() => subscriptions.slice(before).at(-1), { timeout: PATIENCE }).toEqual({ asked: true, dumped: false });
    expect(await marked()).toBe(true);
    // What is on screen is live again, not only left over.
    await button('Stop').click();
    await heading('Stopped').waitFor();
    await shot('stopped');
  });

  it('stops a service', async () => {
    if (!(await heading('Stopped').isVisible())) await button('Stop').click();
    await heading('Stopped').waitFor();
    await expect.poll(() => button('Start').isEnabled()).toBe(true);
  });

  describe.skipIf(!existsSync(join(server.packages ?? '', 'miniflux.s9pk')))('with miniflux', () => {
    it('asks for the admin account before the first start, and starts once it has it', async () => {
      await page.getByRole('link', { name: /^Services/ }).first().click();
      await install('miniflux');
      await row('Miniflux').getByText('Needs you').waitFor();
      await shot('services-task');
      await page.getByRole('link', { name: 'Miniflux', exact: true }).click();
      await page.getByText('Required', { exact: true }).waitFor();
      await expect.poll(() => button('Start').isDisabled()).toBe(true);
      await shot('task');
      await button('Run').click();
      await button('Submit').waitFor();
      await shot('task-form');
      for (const generate of await button('Make one up').all()) await generate.click();
      await page.getByRole('textbox', { name: 'Username' }).fill('keeper');
      await button('Submit').click();
      await button('Done').waitFor();
      await shot('task-result');
      await button('Done').click();
      await expect.poll(() => page.getByText('Required', { exact: true }).count()).toBe(0);
      await button('Start').click();
      await expect.poll(() => page.locator('table').getByText('Healthy').count(), { timeout: PATIENCE }).toBe(2);
      await heading('Running').waitFor();
      await shot('miniflux-running');
    });

    it('is a real web application at its own name', async () => {
      const other = await inNewTab(page.getByRole('link', { name: 'Open Miniflux in a new tab' }));
      await other.locator('input[name=username]').waitFor();
      await other.close();
    });

    it('is uninstalled with its data', () => uninstall('Miniflux'));
  });

  it('uninstalls with the data, and the list follows', async () => {
    await page.getByRole('link', { name: /^Services/ }).first().click();
    await page.getByRole('link', { name: 'Hello', exact: true }).click();
    await uninstall('Hello');
    expect(await marked()).toBe(true);
    await shot('services-after');
  });
});

/** Up, and its check says so: right after a start there is no report yet. */
async function healthy(): Promise<void> {
  await tab('Overview').click();
  await page.getByRole('row', { name: /Page/ }).getByText('Healthy').waitFor();
  await heading('Running').waitFor();
}

async function inNewTab(link: Locator): Promise<Page> {
  const [other] = await Promise.all([page.context().waitForEvent('page'), link.click()]);
  return other;
}

/** From the service's page. */
async function uninstall(title: string): Promise<void> {
  await tab('Actions').click();
  await button('Uninstall the service').click();
  await toggle(page, 'Delete the data', true);
  await button('Uninstall and delete data').click();
  await heading('Services').waitFor();
  await expect.poll(() => row(title).count(), { timeout: PATIENCE }).toBe(0);
}
