import { describe, expect, it } from 'vitest';
import { lastCall, logIn, theatre } from './stage.ts';

const stage = theatre();

describe('the page of who has access', () => {
  it('is reached from every page, and ends a session of another browser', async () => {
    const s = await stage.enter('/services');
    await s.page.getByRole('link', { name: 'Who has access' }).click();
    await s.page.getByText('Firefox on Linux').waitFor();
    const other = s.page.locator('cop-sessions-card li', { hasText: 'Safari on an iPhone' });
    await other.getByRole('button', { name: 'Sign out' }).click();
    await other.waitFor({ state: 'detached' });
    expect(lastCall(s.server, 'auth.session.kill')).toEqual({ ids: ['other'] });
    expect(await s.page.locator('cop-sessions-card li button').count()).toBe(0);
  });

  it('makes a token, shows it once, and revokes it', async () => {
    const s = await stage.enter('/access');
    await s.page.getByRole('button', { name: 'Make a token' }).click();
    await s.page.getByLabel('What uses it').fill('Nightly backup');
    await s.page.getByLabel('It may look, and run services and packages').check();
    await s.page.getByLabel('Days until it ends').fill('30');
    await s.page.getByRole('button', { name: 'Make it' }).click();
    await s.page.getByText('coppice_abcdef').waitFor();
    expect(lastCall(s.server, 'auth.token.create')).toEqual({ name: 'Nightly backup', scope: 'services', expiresIn: 2_592_000 });
    await s.page.getByRole('button', { name: 'Done' }).click();
    const row = s.page.locator('cop-tokens-card li', { hasText: 'Nightly backup' });
    await row.getByText('run services and packages').waitFor();
    await s.page.getByText('coppice_abcdef').waitFor({ state: 'detached' });
    await row.getByRole('button', { name: 'Revoke Nightly backup' }).click();
    await s.page.getByText('No program has access.').waitFor();
  });
});

describe('two-step login', () => {
  it('is set up with an app, then asked for at the login, and switched off with the password', async () => {
    const s = await stage.enter('/access');
    await s.page.getByText('Off: whoever has your password gets in.').waitFor();
    await s.page.getByRole('button', { name: 'Set up' }).click();
    await s.page.getByLabel('Password').fill('guess');
    await s.page.getByRole('button', { name: 'Go on' }).click();
    await s.page.getByText('That password is not right.').waitFor();
    await s.page.getByLabel('Password').fill(s.server.password);
    await s.page.getByRole('button', { name: 'Go on' }).click();
    await s.page.getByRole('img', { name: 'QR code' }).waitFor();
    await s.page.getByLabel('Code', { exact: true }).fill('000000');
    await s.page.getByRole('button', { name: 'Switch on' }).click();
    await s.page.getByText('That code is not right').waitFor();
    await s.page.getByLabel('Code', { exact: true }).fill('123456');
    await s.page.getByRole('button', { name: 'Switch on' }).click();
    await s.page.getByText('ABCD-EFGH-JKLM-NPQ9').waitFor();
    await s.page.getByRole('button', { name: 'I have kept them' }).click();
    await s.page.getByText('10 recovery codes are left').waitFor();

    await s.page.getByRole('button', { name: 'Log out' }).click();
    await logIn(s);
    const code = s.page.getByLabel('Code', { exact: true });
    await code.fill('000000');
    await s.page.keyboard.press('Enter');
    await s.page.getByText('That code is not right').waitFor();
    await code.fill('654321');
    await s.page.keyboard.press('Enter');
    await s.page.getByRole('heading', { name: 'Access' }).waitFor();

    await s.page.getByRole('button', { name: 'Switch off' }).click();
    await s.page.getByLabel('Password').fill(s.server.password);
    await s.page.getByRole('dialog').getByRole('button', { name: 'Switch off' }).click();
    await s.page.getByText('Off: whoever has your password gets in.').waitFor();
  });
});
