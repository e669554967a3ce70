import { describe, expect, it } from 'vitest';
import { lastCall, logIn, theatre } from './stage.ts';

const stage = theatre();

describe('logging in', () => {
  it('says what is wrong beside the field, then opens the page that was asked for', async () => {
    const s = await stage.raise();
    await s.page.goto('/services/hello/why');
    await s.page.getByLabel('Password').fill('guess');
    await s.page.keyboard.press('Enter');
    await s.page.getByText('That password is not right. Try again.').waitFor();
    await logIn(s);
    await s.page.getByText('The daemon main was killed (SIGKILL).').waitFor();
    expect(new URL(s.page.url()).pathname).toBe('/services/hello/why');
  });

  it('never leads away from this server', async () => {
    const s = await stage.raise();
    await s.page.goto('/login?to=//example.org/');
    await logIn(s);
    await s.page.getByRole('heading', { name: 'Services' }).waitFor();
    expect(new URL(s.page.url()).pathname).toBe('/services');
  });

  it('lasts over a reload and ends with Log out', async () => {
    const s = await stage.enter('/services');
    await s.page.reload();
    await s.page.getByRole('heading', { name: 'Services' }).waitFor();
    await s.page.getByRole('button', { name: 'Log out' }).click();
    await s.page.getByRole('heading', { name: 'Welcome back' }).waitFor();
    expect(lastCall(s.server, 'auth.logout')).toEqual({});
    await s.page.goto('/services');
    await s.page.getByRole('heading', { name: 'Welcome back' }).waitFor();
  });

  it('is asked for again when the session was ended elsewhere, and returns to the same page', async () => {
    const s = await stage.enter('/services/syncthing');
    await s.page.getByText('Scanning folders, 42 %').first().waitFor();
    s.server.endSessions();
    await s.page.getByLabel('Password').waitFor();
    await logIn(s);
    await s.page.getByRole('heading', { name: 'Syncthing' }).waitFor();
  });
});

describe('the connection', () => {
  it('shows what is old while the server is away, and what is new when it is back', async () => {
    stage.allow(/502|WebSocket/);
    const s = await stage.enter('/services');
    s.server.goAway();
    await s.page.getByText('No connection to your server. Trying again…').waitFor();
    const row = s.page.locator('cop-service-row', { hasText: 'Hello' });
    await row.getByText('(last known)').waitFor();
    s.server.status('hello', { desired: { main: 'stopped' }, started: null, health: {} });
    s.server.comeBack();
    await row.getByText('Stopped').waitFor();
    await expect.poll(() => s.page.getByText('No connection').count()).toBe(0);
  });

  it('waits for a server that is still starting', async () => {
    const s = await stage.raise();
    s.server.phase = 'initializing';
    await s.page.goto('/');
    await s.page.getByText('Your server is starting.').waitFor();
    s.server.phase = 'running';
    await s.page.getByRole('heading', { name: 'Welcome back' }).waitFor();
  });

  it('starts over from a fresh dump when a patch does not fit', async () => {
    const s = await stage.enter('/services');
    const row = s.page.locator('cop-service-row', { hasText: 'Hello' });
    await row.getByText('Running').waitFor();
    const before = s.server.calls.filter(c => c.method === 'db.subscribe').length;
    s.server.sendRaw({ id: 1e6, patch: [{ op: 'replace', path: '/packageData/nobody/statusInfo/started', value: null }] });
    await expect.poll(() => s.server.calls.filter(c => c.method === 'db.subscribe').length).toBe(before + 1);
    s.server.status('hello', { desired: { main: 'stopped' } });
    await row.getByText('Stopping').waitFor();
  });

  it('does not let one unreadable service hide the others', async () => {
    stage.allow(/cannot be read/);
    const s = await stage.enter('/services');
    s.server.commit({ op: 'add', path: '/packageData/odd', value: { stateInfo: { state: 'dreaming' } } });
    await s.page.getByText('The server\'s record of odd cannot be read').waitFor();
    await s.page.getByRole('link', { name: 'Hello', exact: true }).waitFor();
  });
});

describe('a network that comes and goes', () => {
  it('costs no click: parts of the page and forms are asked for again', async () => {
    stage.allow(/ERR_INTERNET_DISCONNECTED/);
    const { page } = await stage.enter('/services');
    const dropped = new Set<string>();
    await page.route(/chunk-.*\.js$|\/rpc\/v1$/, route => {
      const { url, post } = { url: route.request().url(), post: route.request().postDataJSON() as { method: string } | null };
      const what = post?.method ?? url;
      const isRead = post === null || post.method === 'package.action.get-input';
      if (!isRead || dropped.has(what)) return route.continue();
      dropped.add(what);
      return route.abort('internetdisconnected');
    });
    await page.getByRole('link', { name: 'Hello', exact: true }).click();
    await page.locator('tui-tabs a', { hasText: 'Actions' }).click();
    await page.getByRole('button', { name: 'Run Settings' }).click();
    await page.getByLabel('Greeting').waitFor();
    expect(dropped).toContain('package.action.get-input');
    expect([...dropped].filter(what => what.endsWith('.js')).length).toBeGreaterThan(1);
  });

  it('that stays away is told of, and the click works once it is back', async () => {
    stage.allow(/ERR_INTERNET_DISCONNECTED|MissingPartError/);
    const { page } = await stage.enter('/services/hello/actions');
    const run = page.getByRole('button', { name: 'Run Settings' });
    await run.waitFor();
    await page.route(/chunk-.*\.js$/, route => route.abort('internetdisconnected'));
    await run.click();
    await page.getByText('A part of this page did not arrive.').waitFor();
    await page.locator('tui-tabs a', { hasText: 'Logs' }).click();
    await expect.poll(() => page.getByText('A part of this page did not arrive.').count()).toBe(2);
    await page.unroute(/chunk-.*\.js$/);
    await run.click();
    await page.getByLabel('Greeting').waitFor();
  });
});
