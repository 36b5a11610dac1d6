/** YAML text that must have a certain shape. Errors name the file, the line and the key. Pure. */
import { type Document, isMap, isNode, LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import type { UnderstudyError } from '../errors.js';
import { configError } from './errors.js';

/** An empty file is an empty map. @throws CONFIG_NOT_YAML, CONFIG_UNKNOWN_KEY, CONFIG_WRONG_VALUE */
export function parseYaml<S extends z.ZodType>(file: string, text: string, schema: S): z.output<S> {
  const lines = new LineCounter();
  // Aliases could unfold without bound, and nothing here needs them.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const broken = document.errors[0];
  if (broken !== undefined) {
    const { line } = lines.linePos(broken.pos[0]);
    throw configError('CONFIG_NOT_YAML', `${file}:${line}: ${broken.message}`);
  }
  const checked = schema.safeParse(plainValue(file, document) ?? {});
  if (checked.success) return checked.data;
  const issue = checked.error.issues[0];
  throw issueError(file, issue, (path) => lineOf(document, lines, path));
}

function plainValue(file: string, document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: 0 });
  } catch (cause) {
    throw configError('CONFIG_NOT_YAML', `${file}:1: aliases are not allowed`, { cause });
  }
}

function issueError(
  file: string,
  issue: z.core.$ZodIssue | undefined,
  lineAt: (path: PropertyKey[]) => number,
): UnderstudyError {
  const path = [...(issue?.path ?? [])];
  if (issue?.code === 'unrecognized_keys') {
    const key = [...path, issue.keys[0] ?? ''];
    const message = `${file}:${lineAt(key)}: ${key.join('.')} is not a key`;
    return configError('CONFIG_UNKNOWN_KEY', message);
  }
  const where = path.length === 0 ? '' : `${path.join('.')}: `;
  const message = `${file}:${lineAt(path)}: ${where}${issue?.message ?? 'wrong shape'}`;
  return configError('CONFIG_WRONG_VALUE', message);
}

/** Where the key, or else the nearest thing around it, stands; from 1. */
function lineOf(document: Document, lines: LineCounter, path: PropertyKey[]): number {
  for (let depth = path.length; depth > 0; depth--) {
    const parent = depth === 1 ? document.contents : document.getIn(path.slice(0, depth - 1), true);
    const last = path[depth - 1];
    const pair = isMap(parent)
      ? parent.items.find(({ key }) => String(key) === String(last))
      : undefined;
    const node = pair?.key ?? document.getIn(path.slice(0, depth), true);
    if (isNode(node) && node.range) return lines.linePos(node.range[0]).line;
  }
  return 1;
}
