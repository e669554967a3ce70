import assert from 'node:assert/strict';
import { test } from 'node:test';
import { withHost, type TestHost } from '@coppice/sdk/testing';
import * as readingRoom from '../reading-room/startos/index.js';
import { holds } from './holds.js';

const up = '2026-01-01T00:00:00Z';

/** Installs TiddlyWiki, running or not. */
function hasWiki(host: TestHost, started: string | null): void {
  host.setManifest('tiddlywiki', { id: 'tiddlywiki', title: 'TiddlyWiki', version: '5.4.1:0' });
  host.setStatus('tiddlywiki', {
    health: started === null ? {} : { wiki: { name: 'Wiki', result: 'success', message: null } },
    error: null,
    started,
    desired: { main: started === null ? 'stopped' : 'running' },
  });
}

test('it needs the wiki to run and to be well, and asks for something to show, there', () =>
  withHost(readingRoom, async host => {
    await host.init('install');
    assert.deepEqual(host.asked('set-dependencies'), [
      { dependencies: [{ kind: 'running', id: 'tiddlywiki', versionRange: '>=5.4.1:0', healthChecks: ['wiki'] }] },
    ]);
    holds([...host.tasks.values()], [
      {
        packageId: 'tiddlywiki',
        actionId: 'publish',
        severity: 'important',
        when: { condition: 'input-not-matches', once: false },
        input: { kind: 'partial', accept: [{ published: true }], set: { published: true } },
      },
    ]);
  }));

test('its server sees the published page and nothing else, and only to read', () =>
  withHost(readingRoom, async host => {
    hasWiki(host, up);
    await host.init('install');
    await host.start();
    await host.until('the server runs', () => host.programs.running.length === 1);
    holds(host.asked('mount'), [{ target: { packageId: 'tiddlywiki', volumeId: 'site', readonly: true } }]);
    assert.equal(host.asked('mount').length, 1);
    holds(host.programs.running[0]?.call, { words: ['lighttpd', '-D', '-f', '/etc/reading-room.conf'] });
  }));

test('a start without the wiki fails by name, and one with it does not', () =>
  withHost(readingRoom, async host => {
    await host.init('install');
    await assert.rejects(host.start(), /tiddlywiki is not installed/);
    hasWiki(host, null);
    await assert.rejects(host.start(), /TiddlyWiki does not run/);
    hasWiki(host, up);
    await host.start();
  }));

test('a wiki that stops is told of, and the page goes on', () =>
  withHost(readingRoom, async host => {
    hasWiki(host, up);
    await host.init('install');
    await host.start();
    await host.until('all is well', () => host.health.get('wiki')?.result === 'success');
    await host.until('the server runs', () => host.programs.running.length === 1);
    hasWiki(host, null);
    await host.until('it is told of', () => host.health.get('wiki')?.result === 'failure');
    assert.equal(host.health.get('wiki')?.message, 'TiddlyWiki does not run');
    assert.equal(host.programs.running.length, 1);
  }));

test('people read in the language of their server', () =>
  withHost(
    readingRoom,
    async host => {
      await host.init('install');
      assert.match([...host.tasks.values()][0]?.reason ?? '', /^Noch ist nichts veröffentlicht/);
    },
    { locale: 'de_DE' },
  ));
