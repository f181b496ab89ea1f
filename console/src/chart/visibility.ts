/** Which series of a chart are hidden, and what a click on the legend makes of that. */

/** Keys of the hidden series. */
export type Hidden = ReadonlySet<string>;

export const NONE_HIDDEN: Hidden = new Set();

/** A plain click shows only this series; on the only one shown it brings all back. With ctrl it hides or shows just this one. */
export function clickLegend(hidden: Hidden, key: string, all: readonly string[], toggle: boolean): Hidden {
  if (toggle) {
    const next = new Set(hidden);
    if (!next.delete(key)) next.add(key);
    return next.size >= all.length ? NONE_HIDDEN : next;
  }
  const shown = all.filter((other) => !hidden.has(other));
  if (shown.length === 1 && shown[0] === key) return NONE_HIDDEN;
  return new Set(all.filter((other) => other !== key));
}
