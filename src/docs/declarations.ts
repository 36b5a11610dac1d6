/** The declarations of types out of TypeScript's source text, and which other types they name. Pure. */

export interface Declaration {
  readonly name: string;
  /** With the comment before it; without `export`. */
  readonly text: string;
}

/** Exported interfaces and type aliases at the outermost level, as our formatter lays them out. */
export function declarationsIn(source: string): Declaration[] {
  const found = source.matchAll(DECLARATION);
  return [...found].map(([, comment = '', body = '', name = '']) => ({
    name,
    text: `${comment}${body}`,
  }));
}

/** A comment of its own; then up to a brace at the begin of a line, or a semicolon after which nothing indented comes. */
const DECLARATION =
  /^((?:\/\*\*(?:(?!\*\/)[\s\S])*\*\/\n)?)export ((?:interface|type) (\w+)(?: extends [^{]+)? (?:\{\n[\s\S]*?^\}|=[\s\S]*?;(?=\n[\n\S]|\n?(?![\s\S]))))/gm;

/** Those that `roots` need, each once, in the order in which they are first named. @throws when one is not there */
export function declarationsFor(
  roots: readonly string[],
  declarations: ReadonlyMap<string, Declaration>,
  known: ReadonlySet<string>,
): Declaration[] {
  const needed = new Map<string, Declaration>();
  const add = (name: string, by: string): void => {
    if (needed.has(name) || known.has(name)) return;
    const declaration = declarations.get(name);
    if (declaration === undefined)
      throw new Error(`${by} names ${name}, which is declared nowhere`);
    needed.set(name, declaration);
    for (const other of typesNamedIn(declaration.text)) add(other, name);
  };
  for (const root of roots) add(root, 'the command line');
  return [...needed.values()];
}

/** Words with a capital, outside of comments and strings. */
export function typesNamedIn(text: string): string[] {
  const code = text.replace(/\/\*\*[\s\S]*?\*\//g, '').replace(/'[^']*'/g, '');
  const [, ...others] = [...code.matchAll(/\b[A-Z]\w*/g)].map(([name]) => name);
  return [...new Set(others)];
}
