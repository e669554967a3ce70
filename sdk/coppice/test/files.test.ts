import { readdirSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { envFile, follow, jsonFile, mapped, shape, use, type Effects, type FileModel } from '../src/index.js';
import { iniFile } from '../src/files/ini.js';
import { tomlFile } from '../src/files/toml.js';
import { xmlFile } from '../src/files/xml.js';
import { yamlFile } from '../src/files/yaml.js';
import { withHost, type TestHost } from '../src/testing/index.js';
import { built, hello } from './fixture.js';

const file = hello.volume('main').file('conf/settings');
const server = shape.object({ server: shape.object({ port: shape.integer({ min: 1 }).or(80), name: shape.string().or('x') }).or({ port: 80, name: 'x' }) });

const quiet = (work: (host: TestHost) => Promise<void>): Promise<void> => withHost(built({ setup: () => Promise.resolve(), tasks: [] }), work);

describe.each<[string, FileModel<{ readonly server: { readonly port: number; readonly name: string } }>, string]>([
  ['json', jsonFile(file, server), '{"server":{"port":8080,"extra":"kept"}}'],
  ['ini', iniFile(file, server), '[server]\nport=8080\nextra=kept\n'],
  ['toml', tomlFile(file, server), '[server]\nport = 8080\nextra = "kept"\n'],
  ['yaml', yamlFile(file, server), 'server:\n  port: 8080\n  extra: kept\n'],
  ['xml', xmlFile(file, server), '<server><port>8080</port><extra>kept</extra></server>'],
])('a file in %s', (format, model, text) => {
  it('is read, and merged into without losing what is not known', () =>
    quiet(async host => {
      host.write('main', 'conf/settings', text);
      expect(await model.read()).toEqual({ server: { port: 8080, name: 'x' } });
      await model.merge({ server: { name: 'Ünï <&> "q" \'s\'' } });
      expect(await model.read()).toEqual({ server: { port: 8080, name: 'Ünï <&> "q" \'s\'' } });
      expect(host.read('main', 'conf/settings')).toContain('kept');
    }));

  it('that is missing is its defaults, and is made by the first merge', () =>
    quiet(async () => {
      expect(await model.read()).toEqual({ server: { port: 80, name: 'x' } });
      expect(await model.readIfAny()).toBeNull();
      await model.merge({});
      expect(await model.readIfAny()).toEqual({ server: { port: 80, name: 'x' } });
    }));

  it.runIf(format !== 'ini')('that is broken says which it is', () =>
    quiet(async host => {
      host.write('main', 'conf/settings', '<a <b: [}');
      await expect(model.read()).rejects.toThrow('main/conf/settings');
    }));
});

describe('writing', () => {
  const counter = jsonFile(file, shape.object({ a: shape.integer().or(0), b: shape.integer().or(0) }));

  it('leaves no draft behind, and nothing when it fails', () =>
    quiet(async host => {
      await counter.write({ a: 1, b: 2 });
      const broken = envFile(file, shape.object({ a: shape.string() }));
      await expect(broken.write({ a: 'two\nlines' })).rejects.toThrow('`a` has a line end');
      expect(JSON.parse(host.read('main', 'conf/settings'))).toEqual({ a: 1, b: 2 });
      expect(readdirSync(hello.volume('main').path('conf'))).toEqual(['settings']);
    }));

  it('merges that come at once lose nothing', () =>
    quiet(async () => {
      await Promise.all([counter.merge({ a: 1 }), counter.merge({ b: 2 }), counter.merge({ a: 3 })]);
      expect(await counter.read()).toEqual({ a: 3, b: 2 });
    }));

  it('takes a key away that is said to be undefined', () =>
    quiet(async host => {
      const loose = jsonFile(file, shape.object({ a: shape.integer().nullable() }));
      host.write('main', 'conf/settings', '{"a":1,"b":2}');
      await loose.merge({ a: undefined });
      expect(JSON.parse(host.read('main', 'conf/settings'))).toEqual({ b: 2 });
    }));
});

describe('env files', () => {
  const env = envFile(file, shape.object({ A: shape.string().or('-'), B: shape.integer().or(0), C: shape.boolean().or(false) }));

  it('take values as they stand', () =>
    quiet(async host => {
      host.write('main', 'conf/settings', '# remark\n\nA=b = "c" #d\r\nB=12\nC=true\ngibberish\n');
      expect(await env.read()).toEqual({ A: 'b = "c" #d', B: 12, C: true });
      await env.merge({ B: 13 });
      expect(host.read('main', 'conf/settings')).toBe('A=b = "c" #d\nB=13\nC=true\n');
    }));
});

describe('following', () => {
  const model = jsonFile(file, shape.object({ a: shape.integer().or(0), b: shape.integer().or(0) }));
  const effectsOf = (work: (effects: Effects) => Promise<void>, then: (host: TestHost) => Promise<void>): Promise<void> =>
    withHost(built({ setup: ({ effects }) => work(effects), tasks: [] }), async host => {
      await host.init();
      await then(host);
    });

  it('a step that uses a part of a file runs again when that part changes, and only then', () => {
    const seen: number[] = [];
    return effectsOf(
      async effects => void seen.push(await use(effects, model, value => value.a)),
      async host => {
        await model.merge({ b: 5 });
        await model.merge({ a: 1 });
        await host.until('the first change was seen', () => seen.length === 2);
        host.write('main', 'conf/settings', '{"a":2}');
        await host.until('the second change was seen', () => seen.length === 3);
        expect(seen).toEqual([0, 1, 2]);
      },
    );
  });

  it('as it is written, a step hears of what this package writes, and watches nothing', () => {
    const seen: number[] = [];
    // A watch has to be ended with its scope.
    const onLeaveContext = (): void => expect.unreachable('it watches');
    return effectsOf(
      async effects => {
        seen.push(await use(effects, model.asWritten, value => value.a));
        await model.asWritten.read({ ...effects, onLeaveContext }, () => undefined);
      },
      async host => {
        for (const a of [1, 2]) {
          await model.merge({ a });
          await host.until('it was seen', () => seen.at(-1) === a);
        }
        await model.merge({ a: 2 });
        await model.merge({ b: 5 });
        await model.merge({ a: 3 });
        await host.until('the last was seen', () => seen.at(-1) === 3);
        expect(seen).toEqual([0, 1, 2, 3]);
      },
    );
  });

  it('each value is given once, in order, until the scope is left', () => {
    const seen: number[] = [];
    return effectsOf(
      effects => follow(effects, mapped(model, value => value.a), value => void seen.push(value)),
      async host => {
        for (const a of [1, 2, 2, 3]) {
          await model.merge({ a });
          await host.until('it was seen', () => seen.at(-1) === a);
        }
        expect(seen).toEqual([0, 1, 2, 3]);
      },
    );
  });
});
