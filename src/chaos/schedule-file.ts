/** A schedule that an operator wrote, in YAML. Every error names its line. Pure. */
import { LineCounter, parseDocument } from 'yaml';
import { z } from 'zod';
import { chaosError } from './errors.js';
import { FAULT_NAMES, kindOf, SIDES, type Step, WAYS } from './faults.js';
import { FAULTS_MAX, LASTS_MS_RANGE, STEP_MS_MAX } from './limits.js';

const UNITS_MS = { ms: 1, s: 1_000, min: 60_000 } as const;

/** `250ms`, `1.5s`, `2min`. */
const duration = z.string().transform((text, context) => {
  const [, number, unit] = /^(\d+(?:\.\d+)?) ?(ms|s|min)$/.exec(text) ?? [];
  const ms = Number(number) * (UNITS_MS[unit as keyof typeof UNITS_MS] ?? Number.NaN);
  if (ms >= 0 && ms <= STEP_MS_MAX) return Math.round(ms);
  context.addIssue({
    code: 'custom',
    message: 'is not a time up to an hour, such as 250ms or 1.5s',
  });
  return z.NEVER;
});

const stepSchema = z
  .strictObject({
    fault: z.enum(FAULT_NAMES),
    on: z.enum(SIDES),
    way: z.enum(WAYS).optional(),
    after: duration.optional(),
    for: duration.optional(),
  })
  .superRefine(({ fault, on, way, for: lasts }, context) => {
    const kind = kindOf(fault);
    const issue = (key: string, message: string) =>
      context.addIssue({ code: 'custom', path: [key], message });
    if (!kind.sides.includes(on)) issue('on', `${fault} is only for the ${kind.sides.join(', ')}`);
    if (way !== undefined && kind.act.do !== 'cut') issue('way', `${fault} is no cut`);
    if (lasts !== undefined && !kind.lasts) issue('for', `${fault} does not last`);
  });

const fileSchema = z.strictObject({ faults: z.array(stepSchema).min(1).max(FAULTS_MAX) });

/** A fault comes at once, and lasts two seconds, where nothing else is said. */
const AFTER_MS_DEFAULT = 0;
const LASTS_MS_DEFAULT = LASTS_MS_RANGE[1] / 2;

/** `name` is the file’s, for errors. @throws CHAOS_SCHEDULE_INVALID with the line */
export function parseSchedule(text: string, name: string): Step[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const [broken] = document.errors;
  if (broken !== undefined) {
    throw invalid(name, lines.linePos(broken.pos[0]).line, broken.message.split('\n')[0] ?? '');
  }
  const parsed = fileSchema.safeParse(document.toJS());
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const path = (issue?.path ?? []).map((part) =>
      typeof part === 'symbol' ? String(part) : part,
    );
    const line = lines.linePos(offsetOf(document, path)).line;
    throw invalid(name, line, `${path.join('.')}: ${issue?.message}`);
  }
  return parsed.data.faults.map(({ fault, on, way = 'both', after, for: lasts }) => ({
    fault,
    on,
    way,
    afterMs: after ?? AFTER_MS_DEFAULT,
    lastsMs: kindOf(fault).lasts ? (lasts ?? LASTS_MS_DEFAULT) : 0,
  }));
}

/** Where the value at a path begins, or the nearest that is there above it. */
function offsetOf(
  document: ReturnType<typeof parseDocument>,
  path: readonly (string | number)[],
): number {
  for (let length = path.length; length > 0; length -= 1) {
    const node = document.getIn(path.slice(0, length), true) as { range?: [number] } | undefined;
    if (node?.range !== undefined) return node.range[0];
  }
  return 0;
}

function invalid(name: string, line: number, why: string): Error {
  return chaosError('CHAOS_SCHEDULE_INVALID', `${name}:${line}: ${why}`);
}
