// Bundles the runtime into dist/index.js: one CommonJS file, as the container mounts it.
import { readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { build } from 'esbuild';

const result = await build({
  entryPoints: ['src/index.ts'],
  outfile: 'dist/index.js',
  bundle: true,
  platform: 'node',
  target: 'node20',
  format: 'cjs',
  legalComments: 'eof',
  metafile: true,
  write: true,
  logLevel: 'warning',
  define: { COPPICE_RUNTIME_VERSION: JSON.stringify(JSON.parse(await readFile('package.json', 'utf8')).version) },
  banner: { js: await licences(['@start9labs/start-sdk', 'deep-equality-data-structures']) },
});

// In the container nothing says otherwise; here our own package.json would.
await writeFile('dist/package.json', '{ "type": "commonjs" }\n');

// Only version ranges are wanted from the SDK: the rest would cost every container its start.
const size = Object.values(result.metafile.outputs)[0].bytes;
if (size > 400_000) throw new Error(`dist/index.js has grown to ${size} bytes; what came along?`);

/** The licence texts of what is bundled, as the licences ask. */
async function licences(names) {
  const texts = await Promise.all(
    names.map(async name => {
      const input = Object.keys({ ...(await inputsOf()) }).find(path => path.includes(`node_modules/${name}/`));
      if (input === undefined) throw new Error(`${name} is not in the bundle; take it off the list`);
      const root = input.slice(0, input.lastIndexOf(`node_modules/${name}/`) + `node_modules/${name}`.length);
      return `Contains code of ${name}:\n\n${await readFile(join(root, 'LICENSE'), 'utf8')}`;
    }),
  );
  return `/*\n${texts.join('\n').replaceAll('*/', '* /').trim()}\n*/`;
}

/** What goes in, from a dry run. */
async function inputsOf() {
  const { metafile } = await build({
    entryPoints: ['src/index.ts'],
    bundle: true,
    platform: 'node',
    format: 'cjs',
    metafile: true,
    write: false,
    outdir: dirname('dist/index.js'),
  });
  return metafile.inputs;
}
