import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { withHost, type ProgramCall, type TestHost } from '@coppice/sdk/testing';
import * as tiddlywiki from '../tiddlywiki/startos/index.js';
import { holds } from './holds.js';

/** Installs it; gives what its programs were called with. `tiddlywiki` makes the page that it is asked for. */
async function installed(host: TestHost): Promise<ProgramCall[]> {
  const calls: ProgramCall[] = [];
  host.programs.script('chown', call => (calls.push(call), {}));
  host.programs.script('tiddlywiki', call => {
    calls.push(call);
    host.write('site', 'next.html', `<p>${call.words.at(-1)}</p>`);
    return {};
  });
  await host.init('install');
  return calls;
}

const page = (host: TestHost): string | null => {
  try {
    return host.read('site', 'index.html');
  } catch {
    return null;
  }
};

test('an install makes a login, settings and folders that are the wiki’s own', () =>
  withHost(tiddlywiki, async host => {
    const calls = await installed(host);
    assert.match(host.read('main', 'login.csv'), /^username,password\nadmin,[A-Za-z0-9]{24}\n$/);
    holds(JSON.parse(host.read('notes', 'tiddlywiki.info')), { plugins: ['tiddlywiki/tiddlyweb', 'tiddlywiki/filesystem', 'tiddlywiki/highlight'] });
    holds(calls, [{ words: ['chown', 'wiki:wiki', '/notes', '/site'], user: 'root' }]);
    const made = host.read('main', 'login.csv');
    await host.init('update');
    assert.equal(host.read('main', 'login.csv'), made);
  }));

test('plugins that the owner adds stay', () =>
  withHost(tiddlywiki, async host => {
    await installed(host);
    host.write('notes', 'tiddlywiki.info', JSON.stringify({ plugins: ['tiddlywiki/markdown'], build: {} }));
    await host.init('update');
    holds(JSON.parse(host.read('notes', 'tiddlywiki.info')), { plugins: ['tiddlywiki/markdown'], build: {} });
  }));

test('Coppice runs the wiki, which takes its logins from a file, and again when they change', () =>
  withHost(tiddlywiki, async host => {
    await installed(host);
    await host.start();
    holds(host.daemons, [{ id: 'wiki', image: { id: 'wiki', mounts: [{ volume: 'notes' }, { volume: 'main', mountpoint: '/settings', readonly: true }] } }]);
    assert.ok(host.daemons[0]?.command.includes('credentials=/settings/login.csv'));
    await host.run('set-login', { username: 'jo', password: 'a-long-secret' });
    assert.equal(host.read('main', 'login.csv'), 'username,password\njo,a-long-secret\n');
    assert.ok(!JSON.stringify(host.daemons).includes('a-long-secret'));
    await host.until('a restart is asked for', () => host.asked('restart').length === 1);
  }));

test('the form shows the login, and refuses what the table of logins cannot hold', () =>
  withHost(tiddlywiki, async host => {
    await installed(host);
    await host.run('set-login', { username: 'jo', password: 'a-long-secret' });
    assert.deepEqual((await host.form('set-login')).value, { username: 'jo', password: 'a-long-secret' });
    for (const password of ['short', 'with,comma-in-it', 'with"quote-in-it', 'two\nlines-of-it']) {
      await assert.rejects(host.run('set-login', { username: 'jo', password }), password);
    }
    await assert.rejects(host.run('set-login', { username: 'jo,jim', password: 'a-long-secret' }));
    assert.equal(host.read('main', 'login.csv'), 'username,password\njo,a-long-secret\n');
  }));

test('publishing makes a page of the notes with the tag, and takes it back', () =>
  withHost(tiddlywiki, async host => {
    const calls = await installed(host);
    assert.deepEqual((await host.form('publish')).value, { published: false, tag: 'public' });
    await host.run('publish', { published: true, tag: 'for all' });
    assert.ok(calls.at(-1)?.words.includes('next.html'), 'under another name at first');
    assert.equal(page(host), '<p>[tag[for all]!is[system]sort[title]]</p>');
    assert.deepEqual((await host.form('publish')).value, { published: true, tag: 'for all' });
    await assert.rejects(host.run('publish', { published: true, tag: 'x]] [all[' }), 'a tag is no filter');
    await host.run('publish', { published: false, tag: 'public' });
    assert.equal(page(host), null);
  }));

test('a start makes what is published anew, once the wiki is there', () =>
  withHost(tiddlywiki, async host => {
    await installed(host);
    await host.run('publish', { published: true, tag: 'public' });
    host.write('site', 'index.html', 'old');
    await host.start();
    assert.equal(page(host), 'old');
    const wiki = createServer((_, answer) => answer.writeHead(401).end()).listen(8080, '127.0.0.1');
    try {
      await host.until('it is made anew', () => page(host) !== 'old');
      assert.equal(host.health.get('wiki')?.result, 'success', 'who does not log in is answered, too');
    } finally {
      wiki.close();
    }
  }));

test('a backup holds notes and login, and a restore brings them back', () =>
  withHost(tiddlywiki, async host => {
    await installed(host);
    host.write('notes', 'tiddlers/Garden.tid', 'title: Garden\n\nHazel');
    const login = host.read('main', 'login.csv');
    await host.backup();
    host.write('notes', 'tiddlers/Garden.tid', 'lost');
    host.write('main', 'login.csv', 'lost');
    await host.init('restore');
    assert.equal(host.read('notes', 'tiddlers/Garden.tid'), 'title: Garden\n\nHazel');
    assert.equal(host.read('main', 'login.csv'), login);
  }));
