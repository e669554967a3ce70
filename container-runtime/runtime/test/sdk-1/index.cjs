// The second file of the bundle: a module of its own, which the first asks for while it runs.
'use strict';
const { readFileSync, writeFileSync } = require('fs');

exports.remembered = store => {
  try {
    return JSON.parse(readFileSync(store, 'utf8')).name;
  } catch {
    return undefined;
  }
};

exports.showPage = (effects, port, name) =>
  effects.exportServiceInterface({
    id: 'ui', name, description: 'Shows its name', masked: false, type: 'ui',
    addressInfo: { username: null, hostId: 'main', internalPort: port, scheme: 'http', sslScheme: 'https', suffix: '' },
  });

/** Reads its interface and all of them; reads both again whenever one of them has changed. */
exports.follow = async (effects, state) => {
  const read = async () => {
    // Leaves the one before, and with it what was waited for there.
    const reading = effects.child('follow');
    let fired = false;
    const callback = () => {
      if (!fired) void read();
      fired = true;
    };
    const one = await reading.getServiceInterface({ serviceInterfaceId: 'ui', callback });
    const all = await reading.listServiceInterfaces({ packageId: 'sundial', callback });
    state.seen.push({ one: one?.name ?? null, all: Object.keys(all ?? {}) });
  };
  await read();
};

exports.say = async (effects, status) => {
  await effects.setMainStatus({ status });
  return null;
};

/** An action with a form, whose input is taken only under the event that its form was asked for. */
exports.forms = state => {
  const asked = new Set();
  return {
    action: {
      getInput: async ({ effects }) => {
        asked.add(effects.eventId);
        return { eventId: effects.eventId, spec: {}, value: { name: state.name } };
      },
      run: async ({ effects, input }) => {
        if (!asked.has(effects.eventId)) throw new Error(`getActionInput has not been called for EventID ${effects.eventId}`);
        state.name = input.name;
        writeFileSync('/media/startos/volumes/main/store.json', JSON.stringify({ name: state.name }));
        return null;
      },
    },
  };
};
