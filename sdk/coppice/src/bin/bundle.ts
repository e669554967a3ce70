/** Makes the one file that a host loads: CommonJS, everything in it but Node's own modules. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build } from 'esbuild';

/** Bundles `entry` into `index.js` in `folder`; gives its size in bytes. */
export async function bundle(entry: string, folder: string): Promise<number> {
  await mkdir(folder, { recursive: true });
  const { metafile } = await build({
    entryPoints: [entry],
    outfile: join(folder, 'index.js'),
    bundle: true,
    platform: 'node',
    target: 'node20',
    format: 'cjs',
    // The ESM builds of libraries: only of these is taken what is used.
    mainFields: ['module', 'main'],
    minifySyntax: true,
    legalComments: 'eof',
    metafile: true,
    logLevel: 'warning',
  });
  // Without it a `type: module` of the project would make the bundle another kind of module.
  await writeFile(join(folder, 'package.json'), '{ "type": "commonjs" }\n');
  return Object.values(metafile.outputs)[0]?.bytes ?? 0;
}
