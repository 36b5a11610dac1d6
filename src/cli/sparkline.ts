/** Small pictures of a series in text. Pure. */

const LEVELS = '▁▂▃▄▅▆▇█';

/** The newest `columns` values, from zero to the greatest of them; a blank where there is none. */
export function sparkline(values: readonly (number | undefined)[], columns: number): string {
  const newest = columns <= 0 ? [] : values.slice(-columns);
  const greatest = Math.max(0, ...newest.map((value) => value ?? 0));
  const picture = newest.map((value) => {
    if (value === undefined) return ' ';
    const level = greatest === 0 ? 0 : Math.ceil((value / greatest) * LEVELS.length) - 1;
    return LEVELS[Math.max(0, level)] ?? ' ';
  });
  return picture.join('').padStart(Math.max(0, columns));
}

/** At most `columns` characters; what is too long ends in an ellipsis. Not for text with colours. */
export function fitted(text: string, columns: number): string {
  const characters = [...text];
  if (characters.length <= columns) return text.padEnd(text.length + columns - characters.length);
  return columns <= 0 ? '' : `${characters.slice(0, columns - 1).join('')}…`;
}
