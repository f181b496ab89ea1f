import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { resolveColor } from './colors';

const css = readFileSync(new URL('./styles.css', import.meta.url), 'utf8');

/** The variables of one scheme, by name. */
function variables(scheme: string): Record<string, string> {
  const block = new RegExp(`color-scheme='${scheme}'\\] \\{([^}]*)\\}`).exec(css)![1]!;
  return Object.fromEntries([...block.matchAll(/--sw-([\w-]+): (#[0-9a-f]{6});/g)].map(([, name, value]) => [name!, value!]));
}

/** As the Web Content Accessibility Guidelines reckon it: 4.5 is enough for text of any size. */
function contrast(a: string, b: string): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light! + 0.05) / (dark! + 0.05);
}

function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16) / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

describe.each(['light', 'dark'] as const)('in the %s scheme', (scheme) => {
  const colors = variables(scheme);
  test.each(['text', 'dim', 'accent', 'good', 'warn', 'bad'])('%s can be read on every background', (name) => {
    for (const background of ['bg', 'surface', 'raised', 'hover']) {
      expect(contrast(colors[name]!, colors[background]!), `${name} on ${background}`).toBeGreaterThanOrEqual(4.5);
    }
  });
  test.each(['green', 'red', 'blue', 'text'])('the unit beside a number in %s can be read', (name) =>
    expect(contrast(resolveColor(name, scheme), colors['surface']!)).toBeGreaterThanOrEqual(4.5));
});
