/** The program's own source files and what they import, for tests about the whole of it. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

export interface Import {
  /** A file of ours relative to the root (`src/…`), else the package or `node:` name. */
  readonly target: string;
  readonly isOurs: boolean;
  /** Gone after compilation. */
  readonly typeOnly: boolean;
}

export interface SourceFile {
  /** Relative to the root, `src/…`. */
  readonly path: string;
  readonly text: string;
  readonly imports: readonly Import[];
}

/** Paths below `folder` (relative to the root) that end in one of `endings`; build output is left out. */
export function filesBelow(folder: string, endings: readonly string[]): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return entry.name === 'build' ? [] : filesBelow(path, endings);
    return endings.some((ending) => path.endsWith(ending)) ? [path] : [];
  });
}

export function readText(path: string): string {
  return readFileSync(join(ROOT, path), 'utf8');
}

/** Every TypeScript file under src/, by path. */
export function sourceFiles(): ReadonlyMap<string, SourceFile> {
  return new Map(
    filesBelow('src', ['.ts']).map((path) => {
      const text = readText(path);
      return [path, { path, text, imports: importsOf(path, text) }];
    }),
  );
}

/** `import … from '…'`, `export … from '…'`, `import '…'`. */
const IMPORT = /^(?:import|export)\s+(?:(type\s)?[^;'"]*?\sfrom\s+)?'([^']+)';/gm;

function importsOf(path: string, text: string): Import[] {
  return [...text.matchAll(IMPORT)].map(([, type, specifier = '']) => {
    const isOurs = specifier.startsWith('.');
    const target = isOurs
      ? normalize(join(dirname(path), specifier)).replace(/\.js$/, '.ts')
      : specifier;
    return { target, isOurs, typeOnly: type !== undefined };
  });
}
