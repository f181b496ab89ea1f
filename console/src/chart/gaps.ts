/** Where a line must not be drawn through: holes wider than the data's own pace explains. */

/** A hole of fewer paces is a late or lost point; more is an outage. */
const PACES_MAX = 3.5;

/** The middle of the steps between points: the pace at which the series really comes. */
export function pace(times: readonly number[], values: readonly (number | null)[]): number {
  const steps: number[] = [];
  let before: number | undefined;
  for (let i = 0; i < times.length && steps.length < 500; i++) {
    if (values[i] === null) continue;
    if (before !== undefined) steps.push(times[i]! - before);
    before = times[i]!;
  }
  steps.sort((a, b) => a - b);
  return steps[steps.length >> 1] ?? 0;
}

export function gapLimit(spanNulls: boolean | number | undefined, paceMs: number): number {
  if (spanNulls === true) return Infinity;
  if (typeof spanNulls === 'number') return spanNulls;
  return paceMs * PACES_MAX;
}

/** Index pairs of neighbouring points that a line must not connect, within `[from, to]`. */
export function findGaps(
  times: readonly number[], values: readonly (number | null | undefined)[], limit: number, from: number, to: number,
): [number, number][] { // prettier-ignore
  const gaps: [number, number][] = [];
  let before = -1;
  for (let i = from; i <= to; i++) {
    if (values[i] == null) continue;
    if (before >= 0 && times[i]! - times[before]! > limit) gaps.push([before, i]);
    before = i;
  }
  return gaps;
}

/** Points without a line to either side: invisible unless drawn as dots. */
export function isolated(times: readonly number[], values: readonly (number | null | undefined)[], limit: number): number[] {
  const found: number[] = [];
  let before = -Infinity;
  let last = -1;
  for (let i = 0; i <= values.length; i++) {
    const end = i === values.length;
    if (!end && values[i] == null) continue;
    const at = end ? Infinity : times[i]!;
    if (last >= 0 && times[last]! - before > limit && at - times[last]! > limit) found.push(last);
    if (last >= 0) before = times[last]!;
    last = i;
  }
  return found;
}
