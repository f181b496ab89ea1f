/**
 * Colours of data. The palette keeps its hues apart for the common kinds of colour blindness (after Okabe and Ito), in
 * two tunings so that lines have about the same weight on white and on near-black.
 */

export type Scheme = 'light' | 'dark';

const PALETTE: Record<Scheme, readonly string[]> = {
  light: ['#1f6fd1', '#d97706', '#0b8f72', '#b0489b', '#4aa3df', '#c2410c', '#6d5bd0', '#7a8b00', '#8a5a2b', '#5b6675'],
  dark: ['#5ea3f7', '#f2a33a', '#2fc7a0', '#e07fc7', '#8fd0f5', '#f4764f', '#a596ff', '#c2cf4e', '#c79a6b', '#a3adba'],
}; // prettier-ignore

/** The n-th colour of a series; beyond the palette the same hues come again, a shade apart. */
export function seriesColor(index: number, scheme: Scheme): string {
  const palette = PALETTE[scheme];
  const base = palette[index % palette.length]!;
  const round = Math.floor(index / palette.length);
  return round === 0 ? base : mix(base, scheme === 'dark' ? '#ffffff' : '#000000', Math.min(0.55, round * 0.22));
}

/** Meaning first: good, careful, bad. Hues of red and green differ in lightness too, for those who cannot tell them apart. */
const NAMED: Record<Scheme, Record<string, string>> = {
  light: {
    green: '#08775f', yellow: '#c99700', orange: '#d97706', red: '#cc3030', blue: '#1f6fd1', purple: '#6d5bd0',
    gray: '#8b95a3', grey: '#8b95a3', text: '#3d4653', transparent: 'transparent', white: '#ffffff', black: '#000000',
  },
  dark: {
    green: '#2fc7a0', yellow: '#ecc545', orange: '#f2a33a', red: '#ff6b6b', blue: '#5ea3f7', purple: '#a596ff',
    gray: '#7d8794', grey: '#7d8794', text: '#c5ccd5', transparent: 'transparent', white: '#ffffff', black: '#000000',
  },
}; // prettier-ignore

const SHADE = /^(?:super-light|light|semi-dark|dark)-(\w+)$/;
const SHADE_MIX: Record<string, [to: string, amount: number]> = {
  'super-light': ['#ffffff', 0.45],
  light: ['#ffffff', 0.25],
  'semi-dark': ['#000000', 0.15],
  dark: ['#000000', 0.3],
};

/** A dashboard's colour: Grafana's names ("semi-dark-green"), ours ("palette-3"), or CSS. */
export function resolveColor(name: string, scheme: Scheme): string {
  const named = NAMED[scheme];
  if (Object.hasOwn(named, name)) return named[name]!;
  const shade = SHADE.exec(name);
  const base = shade ? named[shade[1]!] : undefined;
  if (shade && base) {
    const [to, amount] = SHADE_MIX[name.slice(0, -shade[1]!.length - 1)]!;
    return mix(base, to, amount);
  }
  const indexed = /^palette-(\d+)$/.exec(name);
  if (indexed) return seriesColor(Number(indexed[1]), scheme);
  const between = /^continuous-(\w+):([\d.]+)$/.exec(name);
  return between ? along(between[1]!, Number(between[2]), scheme) : name;
}

/** Grafana's scales of colours, from the least value to the largest. */
const SCALES: Readonly<Record<string, readonly string[]>> = {
  GrYlRd: ['green', 'yellow', 'red'], RdYlGr: ['red', 'yellow', 'green'], BlYlRd: ['dark-blue', 'super-light-yellow', 'dark-red'],
  YlRd: ['super-light-yellow', 'dark-red'], BlPu: ['blue', 'purple'], YlBl: ['super-light-yellow', 'dark-blue'],
  blues: ['panel-bg', 'dark-blue'], reds: ['panel-bg', 'dark-red'], greens: ['panel-bg', 'dark-green'], purples: ['panel-bg', 'dark-purple'],
  viridis: ['#440154', '#3b528b', '#21918c', '#5ec962', '#fde725'], magma: ['#000004', '#51127c', '#b73779', '#fc8961', '#fcfdbf'],
  plasma: ['#0d0887', '#7e03a8', '#cc4778', '#f89540', '#f0f921'], inferno: ['#000004', '#57106e', '#bc3754', '#f98e09', '#fcffa4'],
  cividis: ['#00224e', '#434e6c', '#7d7c78', '#bcae6c', '#fee838'],
}; // prettier-ignore

function along(scale: string, share: number, scheme: Scheme): string {
  const stops = (SCALES[scale] ?? SCALES['GrYlRd']!).map((stop) => (stop === 'panel-bg' ? PANEL[scheme] : resolveColor(stop, scheme)));
  const at = share * (stops.length - 1);
  const below = Math.min(stops.length - 2, Math.floor(at));
  return mix(stops[below]!, stops[below + 1]!, at - below);
}

const PANEL: Record<Scheme, string> = { light: '#ffffff', dark: '#15191f' };

function channels(hex: string): [number, number, number] | undefined {
  const long = /^#([0-9a-f])([0-9a-f])([0-9a-f])$/i.test(hex) ? hex.replace(/[0-9a-f]/gi, '$&$&') : hex;
  const match = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})/i.exec(long);
  return match ? [parseInt(match[1]!, 16), parseInt(match[2]!, 16), parseInt(match[3]!, 16)] : undefined;
}

function mix(from: string, to: string, amount: number): string {
  const [a, b] = [channels(from), channels(to)];
  if (!a || !b) return from;
  const hex = a.map((value, i) => Math.round(value + (b[i]! - value) * amount).toString(16).padStart(2, '0'));
  return `#${hex.join('')}`;
}

/** The colour with an opacity; colours that are not in hex stay as they are. */
export function withAlpha(color: string, alpha: number): string {
  const rgb = channels(color);
  return rgb ? `rgba(${rgb.join(',')},${alpha})` : color;
}

export interface ChartColors {
  axis: string;
  grid: string;
  crosshair: string;
}

export const CHART_COLORS: Record<Scheme, ChartColors> = {
  light: { axis: '#66707f', grid: '#eceff3', crosshair: '#9aa4b2' },
  dark: { axis: '#8b95a3', grid: '#20262e', crosshair: '#5d6875' },
};
