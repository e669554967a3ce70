import { withHost } from '@coppice/sdk/testing';
import { expect, it } from 'vitest';
import * as pkg from '../src/index.js';

it('an install declares the page and the action', () =>
  withHost(pkg, async host => {
    await host.init('install');
    expect(host.asked('bind')).toMatchObject([{ id: 'ui', internalPort: 8080 }]);
    expect(host.asked('action.export')).toMatchObject([{ id: 'set-text' }]);
  }));

it('a text that is set is on the page after a restart', () =>
  withHost(pkg, async host => {
    host.image('web', { entrypoint: ['/bin/busybox'] });
    await host.init('install');
    await host.start();
    expect(host.read('main', 'www/index.html')).toContain('<h1>It works.</h1>');
    await host.run('set-text', { text: '1 < 2' });
    await host.until('a restart is asked for', () => host.asked('restart').length === 1);
    await host.stop();
    await host.start();
    expect(host.read('main', 'www/index.html')).toContain('<h1>1 &lt; 2</h1>');
  }));

it('the server is run by Coppice, and on StartOS by the package', async () => {
  await withHost(pkg, async host => {
    host.image('web', { entrypoint: ['/bin/busybox'] });
    await host.start();
    expect(host.daemons).toMatchObject([{ id: 'web', command: ['/bin/busybox'] }]);
  });
  await withHost(
    pkg,
    async host => {
      host.image('web', { entrypoint: ['/bin/busybox'] });
      await host.start();
      await host.until('it runs', () => host.programs.running.length === 1);
    },
    { kind: 'startos' },
  );
});
