import { describe, expect, it } from 'vitest';
import { toggle } from './browser.ts';
import { lastCall, theatre } from './stage.ts';

const stage = theatre();

describe('a required task', () => {
  it('is done with a form, shows its result, and lets the service start', async () => {
    const { page, server } = await stage.enter('/services/miniflux');
    await page.getByText('Required', { exact: true }).waitFor();
    await expect.poll(() => page.getByRole('button', { name: 'Start', exact: true }).isDisabled()).toBe(true);
    await page.getByRole('button', { name: 'Run' }).click();
    await page.getByText('Miniflux needs an admin account before its first start.').last().waitFor();
    await expect.poll(() => page.getByLabel('User name').inputValue()).toBe('keeper');
    await page.getByRole('button', { name: 'Make one up' }).click();
    const field = page.getByLabel('Password', { exact: true });
    await expect.poll(() => field.inputValue()).toMatch(/^[A-Za-z0-9]{22}$/);
    const password = await field.inputValue();
    await page.getByRole('button', { name: 'Submit' }).click();

    await page.getByRole('heading', { name: 'Your admin account' }).waitFor();
    expect(lastCall(server, 'package.action.run')).toMatchObject({
      packageId: 'miniflux',
      actionId: 'create-admin',
      eventId: expect.stringMatching(/^[0-9a-f]{16}$/),
      input: { username: 'keeper', password },
    });
    expect(await page.getByText(password).count()).toBe(0);
    await page.getByRole('button', { name: 'Show', exact: true }).click();
    await page.getByText(password).waitFor();
    await page.getByRole('button', { name: 'Copy value' }).last().click();
    expect(await page.evaluate(() => navigator.clipboard.readText())).toBe(password);
    await page.getByRole('button', { name: 'Show as QR code' }).last().click();
    await page.getByRole('img', { name: 'QR code' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByRole('button', { name: 'Done' }).click();

    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await page.getByRole('heading', { name: 'Starting' }).waitFor();
  });
});

it('an optional task can be dismissed', async () => {
  const { page, server } = await stage.enter('/services/syncthing');
  await page.getByText('Recommended').waitFor();
  await page.getByRole('button', { name: 'Dismiss' }).click();
  await expect.poll(() => page.getByText('Share a folder').count()).toBe(0);
  expect(lastCall(server, 'package.action.clear-task')).toEqual({
    packageId: 'syncthing',
    replayId: 'syncthing:set-folder',
    force: false,
  });
});

describe('a form', () => {
  it('renders every kind of field, points at what is wrong, and sends exactly what was entered', async () => {
    const { page, server } = await stage.enter('/services/hello/actions');
    await page.getByRole('button', { name: 'Run Settings' }).click();
    await page.getByLabel('Greeting').fill('');
    await page.getByLabel('Port').fill('70000');
    await toggle(page, 'Monday', false);
    await page.getByLabel('Proxy').selectOption('socks');
    await page.getByRole('button', { name: 'Submit' }).click();
    await page.getByText('4 fields need another look.').waitFor();
    await page.getByText('Enter 65535 or less.').waitFor();
    await page.getByText('Choose at least 1 choice.').waitFor();
    await expect.poll(() => page.getByLabel('Greeting').evaluate(e => e === e.ownerDocument.activeElement)).toBe(true);
    expect(lastCall(server, 'package.action.run')).toBeUndefined();

    await page.getByLabel('Greeting').fill('Servus');
    await page.getByLabel('Note').fill('two\nlines');
    await page.getByLabel('Port').fill('8081');
    await page.getByLabel('Colour', { exact: false }).last().fill('#aabbcc');
    await page.getByLabel('Since').fill('2026-02-03');
    await toggle(page, 'Loud', true);
    await expect.poll(() => page.getByLabel('Size').locator('option', { hasText: 'Large' }).isDisabled()).toBe(true);
    await page.getByLabel('Size').selectOption('s');
    await toggle(page, 'Wednesday', true);
    await toggle(page, 'Tuesday', true);
    await page.getByRole('group', { name: 'Names' }).getByRole('button', { name: 'Add' }).click();
    await page.getByPlaceholder('A name').nth(1).fill('Grace');
    await page.getByRole('group', { name: 'People' }).getByRole('button', { name: 'Add' }).click();
    await page.getByLabel('Mail').fill('ada@example.org');
    await page.getByLabel('Host').fill('proxy.lan');
    await page.getByLabel('Memory').fill('128');
    await page.getByRole('button', { name: 'Submit' }).click();
    await page.getByText('Settings: done.').waitFor();
    expect(lastCall(server, 'package.action.run')).toMatchObject({
      input: {
        greeting: 'Servus',
        note: 'two\nlines',
        port: 8081,
        colour: '#aabbcc',
        since: '2026-02-03',
        loud: true,
        size: 's',
        days: ['tu', 'we'],
        names: ['Ada', 'Grace'],
        people: [{ mail: 'ada@example.org' }],
        proxy: { selection: 'socks', value: { host: 'proxy.lan' } },
        limits: { memory: 128 },
        hidden: 7,
      },
    });
  });

  it('does not move under a pressed button: what is wrong above is said after the click', async () => {
    const { page } = await stage.enter('/services/hello/actions');
    await page.getByRole('button', { name: 'Run Settings' }).click();
    await page.getByLabel('Port').fill('70000');
    const monday = page.getByLabel('Monday');
    await monday.hover();
    await page.mouse.down();
    await page.waitForTimeout(300);
    expect(await page.getByText('Enter 65535 or less.').count()).toBe(0);
    await page.mouse.up();
    await page.getByText('Enter 65535 or less.').waitFor();
    expect(await monday.isChecked()).toBe(false);
  });

  it('keeps what was typed when the package refuses it, and says why', async () => {
    const { page, server } = await stage.enter('/services/hello/actions');
    await page.getByRole('button', { name: 'Run Settings' }).click();
    await page.getByLabel('Greeting').fill('Moin');
    server.refuse.set('package.action.run', 'The port 8080 is taken by miniflux');
    await page.getByRole('button', { name: 'Submit' }).click();
    await page.getByText('The port 8080 is taken by miniflux.').waitFor();
    await expect.poll(() => page.getByLabel('Greeting').inputValue()).toBe('Moin');
  });

  it('is not lost by Escape or a click beside it', async () => {
    const { page } = await stage.enter('/services/hello/actions');
    await page.getByRole('button', { name: 'Run Settings' }).click();
    await page.getByLabel('Greeting').fill('Moin');
    await page.keyboard.press('Escape');
    await page.mouse.click(5, 400);
    await expect.poll(() => page.getByLabel('Greeting').inputValue()).toBe('Moin');
  });
});

describe('an action', () => {
  it('with a warning asks first', async () => {
    const { page, server } = await stage.enter('/services/hello/actions');
    await page.getByRole('button', { name: 'Run Forget everything' }).click();
    await page.getByText('The current greeting is lost.').waitFor();
    expect(lastCall(server, 'package.action.run')).toBeUndefined();
    await page.getByRole('button', { name: 'Go on' }).click();
    await page.getByText('Forget everything: done.').waitFor();
  });

  it('of the old kind shows its message and value', async () => {
    const { page } = await stage.enter('/services/hello/actions');
    await page.getByRole('button', { name: 'Run Say hello' }).click();
    await page.getByText('The service says hello.').waitFor();
    await page.getByText('Hello!', { exact: true }).waitFor();
  });

  it('that fails says so and can be tried again', async () => {
    const { page, server } = await stage.enter('/services/hello/actions');
    server.refuse.set('package.action.run', 'the daemon does not answer');
    await page.getByRole('button', { name: 'Run Say hello' }).click();
    await page.getByText('the daemon does not answer.').waitFor();
    await page.getByRole('button', { name: 'Try again' }).click();
    await page.getByText('The service says hello.').waitFor();
  });

  it('that needs a running service is off while it is stopped, with the reason', async () => {
    const { page, server } = await stage.enter('/services/hello/actions');
    server.status('hello', { started: null, desired: { main: 'stopped' }, health: {} });
    await page.getByText('Start the service first.').waitFor();
    await expect.poll(() => page.getByRole('button', { name: 'Run Say hello' }).isDisabled()).toBe(true);
  });
});
