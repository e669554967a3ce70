// A bundle in the shape of those that SDK 1.x made, written by hand: exports that are getters, beside it a second file
// that is found at run time, and the effects as packages of that time ask for them. The runtime's tests load it, and
// the end-to-end tests install it.
'use strict';
const later = require(__dirname + '/index.cjs');
const { createServer } = require('http');

const PORT = 8080;
// Another one where this is no container.
const LISTENED_ON = Number(process.env['SUNDIAL_LISTENS_ON'] ?? PORT);
const STORE = '/media/startos/volumes/main/store.json';
const state = { name: 'Sundial', server: null, seen: [] };
const forms = later.forms(state);

const actions = {
  'set-name': forms.action,
  'see': {
    run: async () => ({ version: '0', message: JSON.stringify(state.seen), value: null, copyable: false, qr: false }),
  },
  'rename': {
    run: async ({ effects }) => {
      await later.showPage(effects, PORT, 'The page of another name');
      return null;
    },
  },
  // A package that says itself whether it runs, by what is deprecated since.
  'say-stopped': { run: async ({ effects }) => later.say(effects, 'stopped') },
  'say-running': { run: async ({ effects }) => later.say(effects, 'running') },
};

const described = (name, hasInput) => ({
  name, description: '', warning: null, visibility: 'enabled', allowedStatuses: 'any', hasInput, group: null,
});

async function init({ effects, kind }) {
  state.name = later.remembered(STORE) ?? state.name;
  if ((await effects.getDataVersion()) === null) await effects.setDataVersion({ version: '1.0.0:0' });
  const net = effects.child('init_0');
  await net.bind({
    id: 'main', internalPort: PORT, preferredExternalPort: 80, secure: null,
    addSsl: { preferredExternalPort: 443, scheme: 'https', alpn: { specified: ['http/1.1'] } },
  });
  await later.showPage(net, PORT, 'The page');
  await net.clearBindings({ except: [{ id: 'main', internalPort: PORT }] });
  await net.clearServiceInterfaces({ except: ['ui'] });
  await effects.child('init_1').setDependencies({ dependencies: [] });
  const listed = effects.child('init_2');
  for (const id of Object.keys(actions)) {
    await listed.action.export({ id, metadata: described(id, id === 'set-name') });
  }
  await listed.action.clear({ except: Object.keys(actions) });
  await listed.action.createTask({
    replayId: 'sundial:set-name', packageId: 'sundial', actionId: 'set-name', severity: 'important', reason: 'Call it so',
    when: { condition: 'input-not-matches', once: false },
    input: { kind: 'partial', value: { name: 'Gnomon' } },
  });
  await later.follow(effects.child('init_3'), state);
  if (kind === 'install') await effects.notification.create({ level: 'info', title: 'Set up', message: 'It has a page.' });
}

async function main({ effects }) {
  return {
    build: async () => {
      state.server = createServer((_, answer) => answer.end(`<h1>${state.name}</h1>`));
      await new Promise(resolve => state.server.listen(LISTENED_ON, '0.0.0.0', resolve));
      await effects.setMainStatus({ status: 'running' });
      await effects.setHealth({ id: 'web', name: 'Page', result: 'success', message: 'The page is shown' });
      return {
        term: async () => {
          await new Promise(resolve => state.server.close(resolve));
          await effects.setMainStatus({ status: 'stopped' });
        },
      };
    },
  };
}

const exported = {
  init: () => init,
  uninit: () => async ({ effects, target }) => {
    if (target === null) await effects.setDataVersion({ version: null });
  },
  main: () => main,
  createBackup: () => async () => null,
  actions: () => ({ get: id => actions[id] }),
  manifest: () => ({ id: 'sundial' }),
};
for (const [name, get] of Object.entries(exported)) Object.defineProperty(exports, name, { enumerable: true, get });
