/** What is public is documented, and the examples in the documentation compile. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import ts from 'typescript';
import { expect, it } from 'vitest';

const here = resolve(import.meta.dirname, '..');
const ENTRIES = ['index', 'files/ini', 'files/toml', 'files/xml', 'files/yaml', 'testing/index'].map(name => join(here, `src/${name}.ts`));
/** Errors are met in `catch`, and what they say is their documentation; the others are got from what has an example. */
const WITHOUT_EXAMPLE = /Error$|Failed$|^(Action|Backup|FileModel|PackageHandle|Shape|Subcontainer|Versions|VolumeFile|TestHost|Endless|Programs|compareVersions|httpAnswers)$/;

const config = ts.parseJsonConfigFileContent(
  ts.readConfigFile(join(here, 'tsconfig.json'), path => readFileSync(path, 'utf8')).config,
  ts.sys,
  here,
).options;

/** Every `ts` block in a comment, with where it stands. */
function examples(): Map<string, string> {
  const found = new Map<string, string>();
  for (const name of readdirSync(join(here, 'src'), { recursive: true, encoding: 'utf8' })) {
    if (!name.endsWith('.ts')) continue;
    const text = readFileSync(join(here, 'src', name), 'utf8');
    for (const { 1: block, index } of text.matchAll(/^ *\* ```ts\n((?: *\*.*\n)*?) *\* ```$/gm)) {
      const line = text.slice(0, index).split('\n').length;
      found.set(join(here, `examples/${name.replaceAll('/', '-')}-${line}.ts`), (block ?? '').replace(/^ *\* ?/gm, ''));
    }
  }
  return found;
}

/** The package that the examples are about. */
const PACKAGE = `
import { definePackage } from '@coppice/sdk';
export const hello = definePackage({
  id: 'hello', title: 'Hello', license: 'MIT', packageRepo: 'https://example.com', upstreamRepo: 'https://example.com',
  description: { short: '', long: '' }, images: { hello: { arch: ['x86_64'] } }, volumes: ['main'],
  dependencies: { store: { description: '', optional: true } },
});`;

it('every example compiles', () => {
  const files = new Map([...examples(), [join(here, 'examples/package.ts'), PACKAGE]]);
  expect(files.size).toBeGreaterThan(40);
  const options: ts.CompilerOptions = {
    ...config,
    noEmit: true,
    // Examples name things that they then do nothing with.
    noUnusedLocals: false,
    paths: { '@coppice/sdk': [join(here, 'src/index.ts')], '@coppice/sdk/*': [join(here, 'src/*.ts'), join(here, 'src/*/index.ts')] },
  };
  const host = ts.createCompilerHost(options);
  const { fileExists, readFile, getSourceFile } = host;
  host.fileExists = path => files.has(path) || fileExists(path);
  host.readFile = path => files.get(path) ?? readFile(path);
  host.getSourceFile = (path, languageVersion) => {
    const text = files.get(path);
    return text === undefined ? getSourceFile.call(host, path, languageVersion) : ts.createSourceFile(path, text, languageVersion);
  };
  host.directoryExists = path => path === dirname(join(here, 'examples/x')) || ts.sys.directoryExists(path);
  const program = ts.createProgram([...files.keys()], options, host);
  const wrong = ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => {
    const at = file === undefined || start === undefined ? '' : `${file.fileName}:${file.getLineAndCharacterOfPosition(start).line + 1}`;
    return `${at} ${ts.flattenDiagnosticMessageText(messageText, '\n')}`;
  });
  expect(wrong).toEqual([]);
}, 60_000);

it('every public name is explained, and shown in use', () => {
  const program = ts.createProgram(ENTRIES, { ...config, noEmit: true });
  const checker = program.getTypeChecker();
  const wrong: string[] = [];
  for (const path of ENTRIES) {
    const source = program.getSourceFile(path);
    const module = source === undefined ? undefined : checker.getSymbolAtLocation(source);
    if (module === undefined) throw new Error(`${path} exports nothing`);
    for (const exported of checker.getExportsOfModule(module)) {
      const symbol = exported.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(exported) : exported;
      if (symbol.getDocumentationComment(checker).length === 0) wrong.push(`${symbol.name} is not explained`);
      const isValue = (symbol.flags & ts.SymbolFlags.Value) !== 0;
      const hasExample = symbol.getJsDocTags(checker).some(tag => tag.name === 'example');
      if (isValue && !hasExample && !WITHOUT_EXAMPLE.test(symbol.name)) wrong.push(`${symbol.name} has no example`);
    }
  }
  expect(wrong).toEqual([]);
}, 60_000);
