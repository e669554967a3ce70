/**
 * Stands before a package's own code, `package.js`, and plays the host's part in a backup, which Coppice does not
 * have yet: an action gives what the package's `createBackup` has written, and where such a thing lies beside this
 * file, the package is told that it is restored from it.
 */
const fs = require('node:fs');
const path = require('node:path');
const real = require('./package.js');

/** Where a host shows a package its backup. */
const place = '/media/startos/backup';
const kept = path.join(__dirname, 'backup.json');

const told = () =>
  fs.readdirSync(place, { recursive: true, withFileTypes: true }).map(entry => {
    const at = path.join(entry.parentPath ?? entry.path, entry.name);
    const { uid, gid, mode } = fs.statSync(at);
    return { at, uid, gid, mode, body: entry.isFile() ? fs.readFileSync(at, 'base64') : null };
  });

const lay = ({ at, uid, gid, mode, body }) => {
  if (body === null) fs.mkdirSync(at, { recursive: true });
  else fs.writeFileSync(at, body, 'base64');
  fs.chownSync(at, uid, gid);
  fs.chmodSync(at, mode);
};

const backUp = {
  run: async ({ effects }) => {
    fs.mkdirSync(place);
    try {
      await real.createBackup({ effects });
      return { version: '1', title: 'Backed up', message: JSON.stringify(told()), result: null };
    } finally {
      fs.rmSync(place, { recursive: true });
    }
  },
};

module.exports = {
  manifest: real.manifest,
  main: real.main,
  uninit: real.uninit,
  createBackup: real.createBackup,
  actions: { get: id => (id === 'back-up' ? backUp : real.actions.get(id)) },
  init: async ({ effects, kind }) => {
    const restores = kind === 'install' && fs.existsSync(kept);
    if (restores) {
      fs.mkdirSync(place);
      JSON.parse(fs.readFileSync(kept, 'utf8')).forEach(lay);
    }
    await real.init({ effects, kind: restores ? 'restore' : kind });
    if (restores) fs.rmSync(place, { recursive: true });
    const metadata = {
      name: 'Back up',
      description: '',
      warning: null,
      visibility: 'enabled',
      allowedStatuses: 'only-stopped',
      hasInput: false,
      group: null,
    };
    await effects.action.export({ id: 'back-up', metadata });
  },
};
