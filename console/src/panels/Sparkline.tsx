/** A small line without axes: the shape of a series behind its number. */
import { useMemo } from 'react';
import type { Cell } from '../data/frame';

interface SparklineProps {
  values: readonly Cell[];
  width: number;
  height: number;
  color: string;
  fill?: boolean;
}

export function Sparkline({ values, width, height, color, fill = true }: SparklineProps) {
  const line = useMemo(() => points(values, width, height), [values, width, height]);
  if (line.length < 2) return null;
  const path = `M${line.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join('L')}`;
  return (
    <svg width={width} height={height} viewBox={`0 0 ${width} ${height}`} aria-hidden="true">
      {fill && <path d={`${path}L${width},${height}L0,${height}Z`} fill={color} opacity={0.12} />}
      <path d={path} fill="none" stroke={color} strokeWidth={1.25} opacity={0.8} strokeLinejoin="round" />
    </svg>
  );
}

/** One point for each two pixels, the mean of what falls there, from the lowest value at the bottom to the highest. */
function points(values: readonly Cell[], width: number, height: number): [number, number][] {
  const slots = Math.max(2, Math.floor(width / 2));
  const sums = new Array<number>(slots).fill(0);
  const counts = new Array<number>(slots).fill(0);
  values.forEach((value, i) => {
    if (typeof value !== 'number') return;
    const slot = Math.min(slots - 1, Math.floor((i / Math.max(1, values.length - 1)) * slots));
    sums[slot] = sums[slot]! + value;
    counts[slot] = counts[slot]! + 1;
  });
  const means = sums.flatMap((sum, i) => (counts[i]! > 0 ? [[(i / (slots - 1)) * width, sum / counts[i]!] as [number, number]] : []));
  const low = Math.min(...means.map(([, mean]) => mean));
  const high = Math.max(...means.map(([, mean]) => mean));
  const y = (mean: number) => (high === low ? height / 2 : height - 1.5 - ((mean - low) / (high - low)) * (height - 3));
  return means.map(([x, mean]) => [x, y(mean)]);
}
