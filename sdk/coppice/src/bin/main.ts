/** `coppice-sdk build` and `coppice-sdk check`. */
import { bundle } from './bundle.js';
import { checkBundle, checkProject } from './check.js';

const USAGE = `usage:
  coppice-sdk build [ENTRY] [FOLDER]   bundles ENTRY (src/index.ts) into FOLDER (javascript) and checks it
  coppice-sdk check [FOLDER]           checks the bundle in FOLDER (javascript) and the project around it`;

function tell(wrong: readonly string[]): number {
  for (const one of wrong) console.error(`error: ${one}`);
  return wrong.length === 0 ? 0 : 1;
}

async function run([verb, ...args]: readonly string[]): Promise<number> {
  switch (verb) {
    case 'build': {
      const [entry = 'src/index.ts', folder = 'javascript'] = args;
      const size = await bundle(entry, folder);
      console.log(`${folder}/index.js: ${size} bytes`);
      return tell(checkBundle(folder));
    }
    case 'check': {
      const [folder = 'javascript'] = args;
      return tell([...checkBundle(folder), ...checkProject('.')]);
    }
    default:
      console.error(USAGE);
      return 2;
  }
}

process.exitCode = await run(process.argv.slice(2)).catch((error: unknown) => tell([error instanceof Error ? error.message : String(error)]));
