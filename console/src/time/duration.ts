/** Durations as InfluxQL and Grafana write them: `10s`, `5m`, `1h30m`. */

const UNIT_MS: Record<string, number> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  M: 2_629_800_000,
  y: 31_557_600_000,
};

const PART = /(\d+(?:\.\d+)?)(ms|[smhdwMy])/g;

/** Milliseconds of `1h30m`, or `undefined` when the text is no duration. */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim();
  let total = 0;
  let consumed = 0;
  for (const match of trimmed.matchAll(PART)) {
    if (match.index !== consumed) return undefined;
    consumed += match[0].length;
    total += Number(match[1]) * (UNIT_MS[match[2] ?? ''] ?? 0);
  }
  return consumed > 0 && consumed === trimmed.length ? total : undefined;
}

/** The largest whole unit that divides the duration's size, as InfluxQL wants it: 90 s is `90s`, 120 s is `2m`. */
export function influxDuration(ms: number): string {
  const whole = Math.max(1, Math.round(ms));
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    const size = UNIT_MS[unit]!;
    if (whole % size === 0) return `${whole / size}${unit}`;
  }
  return `${whole}ms`;
}

/** For people, two units at most: `3d 4h`, `12m`, `45s`. */
export function humanDuration(ms: number): string {
  const sign = ms < 0 ? '-' : '';
  let rest = Math.abs(ms);
  if (rest < 1_000) return `${sign}${Math.round(rest)}ms`;
  const parts: string[] = [];
  for (const unit of ['y', 'd', 'h', 'm', 's'] as const) {
    const size = UNIT_MS[unit]!;
    const count = Math.floor(rest / size);
    if (count > 0 || parts.length > 0) parts.push(count > 0 ? `${count}${unit}` : '');
    rest -= count * size;
    if (parts.length === 2) break;
  }
  return sign + parts.filter(Boolean).join(' ');
}

/** `just now`, `12s ago`, `3h ago`; future times read `in 5m`. */
export function ago(then: number, now: number): string {
  const ms = now - then;
  if (Math.abs(ms) < 1_500) return 'just now';
  const largest = humanDuration(Math.abs(ms)).split(' ')[0] ?? '';
  return ms > 0 ? `${largest} ago` : `in ${largest}`;
}
