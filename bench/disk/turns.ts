/** The same items, beginning with another one each round: none is always first. Pure. */
export function inTurns<T>(items: readonly T[], round: number): T[] {
  const first = round % items.length;
  return [...items.slice(first), ...items.slice(0, first)];
}
