/** Scaling a number to a prefix: 1,536 bytes to 1.5 KiB. */

export interface Formatted {
  text: string;
  prefix: string;
  suffix: string;
}

export interface Scale {
  factor: number;
  suffixes: readonly string[];
}

/** As `scaled`, and downwards too: `at` is the place of the suffix that a value of its own size has. */
export function scaledBothWays(value: number, { factor, suffixes }: Scale, at: number, decimals?: number): { text: string; suffix: string } {
  let [rest, step] = [value, at];
  while (step > 0 && rest !== 0 && Math.abs(rest) < 1) {
    rest *= factor;
    step -= 1;
  }
  return scaled(rest, { factor, suffixes: suffixes.slice(step) }, decimals);
}

/** Digits after the point so that about three figures count: 1.23, 12.3, 123. */
export function autoDecimals(value: number): number {
  const size = Math.abs(value);
  if (size === 0 || Number.isInteger(value)) return 0;
  if (size >= 100) return 0;
  if (size >= 10) return 1;
  if (size >= 1) return 2;
  return Math.min(6, 2 - Math.floor(Math.log10(size)));
}

export function fixed(value: number, decimals: number | undefined): string {
  const digits = decimals ?? autoDecimals(value);
  const text = value.toFixed(Math.min(20, Math.max(0, digits)));
  // Only zeros that `autoDecimals` made are noise; digits that were asked for stay.
  const trimmed = decimals === undefined && text.includes('.') ? text.replace(/\.?0+$/, '') : text;
  return trimmed === '-0' ? '0' : trimmed;
}

/** The largest step not above the value; one that rounds up to the next step takes that ("1 MiB", not "1024 KiB"). */
export function scaled(value: number, { factor, suffixes }: Scale, decimals?: number): { text: string; suffix: string } {
  let step = 0;
  let rest = value;
  while (Math.abs(rest) >= factor && step < suffixes.length - 1) {
    rest /= factor;
    step += 1;
  }
  let text = fixed(rest, decimals);
  if (Math.abs(Number(text)) >= factor && step < suffixes.length - 1) {
    step += 1;
    text = fixed(rest / factor, decimals);
  }
  return { text, suffix: suffixes[step]! };
}
