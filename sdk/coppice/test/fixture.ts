/** A small package with one of everything that tests look at. */
import {
  actionWithForm,
  backup,
  daemon,
  definePackage,
  entrypoint,
  envFile,
  fields,
  form,
  http,
  ownTask,
  portListening,
  result,
  shape,
  units,
  use,
  versions,
  type PackageExports,
  type PackageParts,
} from '../src/index.js';

export const hello = definePackage({
  id: 'hello',
  title: 'Hello',
  license: 'MIT',
  packageRepo: 'https://example.com/hello',
  upstreamRepo: 'https://example.com/hello',
  description: { short: 'One greeting', long: 'A page with a greeting of your choice.' },
  images: { hello: { arch: ['x86_64'] } },
  volumes: ['main'],
  dependencies: { store: { description: 'Keeps things', optional: true } },
});

export const config = envFile(hello.volume('main').file('hello.conf'), shape.object({ greeting: shape.string({ min: 1 }).or('Hello') }));

export const setGreeting = actionWithForm({
  id: 'set-greeting',
  name: 'Set greeting',
  description: 'Choose what the page says.',
  form: form({ greeting: fields.text({ name: 'Greeting', patterns: [{ regex: '^\\S(.*\\S)?$', description: 'One line' }] }) }),
  current: () => config.read(),
  run: async ({ input: { greeting } }) => {
    await config.merge({ greeting });
    return result('Greeting set', greeting);
  },
});

export const box = hello.subcontainer({ image: 'hello', mounts: [hello.volume('main').at('/data', { readonly: true })] });

export const parts: PackageParts = {
  versions: versions({ current: '1.0.0:0', releaseNotes: 'The first version.' }),
  setup: async () => void (await config.merge({})),
  interfaces: [http({ host: 'ui', port: 8080, interfaces: [{ id: 'ui', name: 'Page', description: 'The page' }] })],
  daemons: async effects => {
    await use(effects, config);
    return units({
      server: daemon({ in: box, command: entrypoint(), ready: { name: 'Page', check: portListening(8080) } }),
    });
  },
  actions: [setGreeting],
  tasks: async effects => {
    const { greeting } = await use(effects, config);
    return greeting === 'Hello' ? [ownTask({ action: setGreeting, severity: 'optional', prefill: { greeting: 'Hi' } })] : [];
  },
  backup: backup({ volumes: [hello.volume('main')] }),
};

/** The package, varied. */
export const built = (changes: Partial<PackageParts> = {}): PackageExports => hello.build({ ...parts, ...changes });

export const { manifest, init, uninit, main, createBackup, actions } = built();
