/** Units: Grafana's ids, and how their numbers are written. An unknown id is shown as a suffix, as in Grafana. */
import { humanDuration } from '../time/duration';
import { localDateTime } from '../time/range';
import { formatDate } from './dateFormat';
import { fixed, type Formatted, type Scale, scaled, scaledBothWays } from './scale';

type Format = (value: number, decimals?: number) => Formatted;

const plain =
  (suffix: string, digits?: number): Format =>
  (value, decimals) => ({ text: fixed(value, decimals ?? digits), prefix: '', suffix });

const scale =
  (factor: number, suffixes: readonly string[], offset = 0): Format =>
  (value, decimals) => {
    const family: Scale = { factor, suffixes: suffixes.slice(offset) };
    return { prefix: '', ...scaled(value, family, decimals) };
  };

const IEC = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];
const SI = ['', 'k', 'M', 'G', 'T', 'P', 'E'];
const SI_ALL = ['f', 'p', 'n', 'µ', 'm', ...SI];
const SI_BARE = 5;
const suffixed = (prefixes: readonly string[], unit: string) => prefixes.map((prefix) => ` ${prefix}${unit}`);

const currency =
  (prefix: string): Format =>
  (value, decimals) => ({ prefix, ...scaled(value, { factor: 1000, suffixes: ['', 'K', 'M', 'B', 'T'] }, decimals) });

/** A duration in a fixed unit, scaled to the unit that suits its size. `at` is its place in the list. */
const TIME: readonly [suffix: string, toNext: number][] = [
  [' ns', 1000], [' µs', 1000], [' ms', 1000], [' s', 60], [' min', 60], [' h', 24], [' d', 7], [' w', 52.18], [' y', Infinity],
]; // prettier-ignore

const time =
  (at: number): Format =>
  (value, decimals) => {
    let [rest, index] = [value, at];
    while (Math.abs(rest) >= TIME[index]![1]) rest /= TIME[index++]![1];
    while (index > 0 && rest !== 0 && Math.abs(rest) < 1) rest *= TIME[--index]![1];
    return { text: fixed(rest, decimals), prefix: '', suffix: TIME[index]![0] };
  };

/** A unit that takes the SI prefixes in both directions; `offset` counts from the bare unit: -1 for milli, 1 for kilo. */
const prefixed =
  (unit: string, offset = 0): Format =>
  (value, decimals) => ({ prefix: '', ...scaledBothWays(value, { factor: 1000, suffixes: suffixed(SI_ALL, unit) }, SI_BARE + offset, decimals) });

const two = (value: number) => String(value).padStart(2, '0');

/** `04s:050ms`, `02m:04s:050ms`; `decimals` counts the parts after the first. */
const clock =
  (toMs: number): Format =>
  (value, decimals) => {
    const ms = Math.round(Math.abs(value * toMs));
    const parts = [`${two(Math.floor(ms / 3_600_000))}h`, `${two(Math.floor(ms / 60_000) % 60)}m`, `${two(Math.floor(ms / 1000) % 60)}s`, `${String(ms % 1000).padStart(3, '0')}ms`];
    const first = ms < 1000 ? 3 : ms < 60_000 ? 2 : ms < 3_600_000 ? 1 : 0;
    return { text: parts.slice(first, decimals == null ? undefined : first + 1 + decimals).join(':'), prefix: value < 0 ? '-' : '', suffix: '' };
  };

/** `26:03:04`, or `1 d 02:03:04`. */
const hours =
  (withDays: boolean): Format =>
  (value) => {
    const seconds = Math.floor(Math.abs(value));
    const days = withDays ? Math.floor(seconds / 86_400) : 0;
    const rest = seconds - days * 86_400;
    const text = [Math.floor(rest / 3600), Math.floor(rest / 60) % 60, rest % 60].map(two).join(':');
    return { text: `${days > 0 ? `${days} d ` : ''}${text}`, prefix: '', suffix: value < 0 ? ' ago' : '' };
  };

/** Without its date where that is today's. */
const briefDate =
  (write: (ms: number) => string, writeTime: (ms: number) => string): ((ms: number) => string) =>
  (ms) =>
    new Date(ms).toDateString() === new Date().toDateString() ? writeTime(ms) : write(ms);

const human =
  (toMs: number): Format =>
  (value) => ({ text: humanDuration(value * toMs), prefix: '', suffix: '' });

const date =
  (write: (ms: number) => string): Format =>
  (value) => ({ text: write(value), prefix: '', suffix: '' });

const words =
  (yes: string, no: string): Format =>
  (value) => ({ text: value === 0 ? no : yes, prefix: '', suffix: '' });

const PER_SECOND: Record<string, string> = {
  cps: 'c/s', ops: 'ops/s', reqps: 'req/s', rps: 'rd/s', wps: 'wr/s', iops: 'IO/s', eps: 'evt/s', mps: 'msg/s',
  recps: 'rec/s', rowsps: 'rows/s', pps: 'p/s', cpm: 'c/min', opm: 'ops/min', reqpm: 'req/min', rpm: 'rd/min',
  wpm: 'wr/min', epm: 'evt/min',
}; // prettier-ignore

const PLAIN: Record<string, string> = {
  humidity: ' %H', dB: ' dB', dBm: ' dBm', celsius: ' °C', fahrenheit: ' °F', kelvin: ' K', degree: '°', pixel: ' px',
  ppm: ' ppm', conppb: ' ppb', rotrpm: ' rpm', lengthkm: ' km', lengthft: ' ft', velocitykmh: ' km/h', velocityms: ' m/s',
  pressurembar: ' mbar', pressurebar: ' bar', pressurehpa: ' hPa', pressurepsi: ' psi', flowlpm: ' l/min', litreh: ' l/h',
  velocityknot: ' kn', velocitymph: ' mph', m3: ' m³', dm3: ' dm³', Nm3: ' Nm³', gallons: ' gal', lengthin: ' in', lengthmi: ' mi', masslb: ' lb', masst: ' t',
  flowcms: ' cms', flowcfs: ' cfs', flowcfm: ' cfm', flowgpm: ' gpm', radian: ' rad', grad: ' grad', arcmin: ' arcmin', arcsec: ' arcsec',
}; // prettier-ignore

/** Units that take the SI prefixes, with the step they start at. */
const PREFIXED: Record<string, [unit: string, offset: number]> = {
  hertz: ['Hz', 0], watt: ['W', 0], kwatt: ['W', 1], watth: ['Wh', 0], kwatth: ['Wh', 1], joule: ['J', 0], volt: ['V', 0],
  amp: ['A', 0], ohm: ['Ω', 0], voltamp: ['VA', 0], pressurepa: ['Pa', 0], lengthm: ['m', 0], massg: ['g', 0],
  masskg: ['g', 1], litre: ['l', 0], rothz: ['Hz', 0], mvolt: ['V', -1], kvolt: ['V', 1], mamp: ['A', -1], kamp: ['A', 1], mwatt: ['W', -1],
  megwatt: ['W', 2], gwatt: ['W', 3], mohm: ['Ω', -1], kohm: ['Ω', 1], Mohm: ['Ω', 2], kvoltamp: ['VA', 1], voltampreact: ['VAr', 0],
  farad: ['F', 0], henry: ['H', 0], lumens: ['Lm', 0], mlitre: ['l', -1], lengthmm: ['m', -1], massmg: ['g', -1], pressurekpa: ['Pa', 1],
  rotmhz: ['Hz', 2], ev: ['eV', 0], watthperkg: ['Wh/kg', 0], amph: ['Ah', 0], mamph: ['Ah', -1],
}; // prettier-ignore

const FORMATS: Record<string, Format> = {
  none: plain(''),
  string: plain(''),
  short: scale(1000, ['', ' K', ' Mil', ' Bil', ' Tri']),
  percent: plain('%'),
  percentunit: (value, decimals) => plain('%')(value * 100, decimals),
  sci: (value, decimals) => ({ text: value.toExponential(decimals), prefix: '', suffix: '' }),
  hex: (value) => ({ text: Math.round(value).toString(16).toUpperCase(), prefix: '', suffix: '' }),
  hex0x: (value) => ({ text: `0x${Math.round(value).toString(16).toUpperCase()}`, prefix: '', suffix: '' }),
  locale: (value, decimals) => ({
    text: value.toLocaleString(undefined, decimals === undefined ? {} : { minimumFractionDigits: decimals, maximumFractionDigits: decimals }),
    prefix: '',
    suffix: '',
  }),

  bits: scale(1024, suffixed(IEC, 'b')),
  bytes: scale(1024, suffixed(IEC, 'B')),
  kbytes: scale(1024, suffixed(IEC, 'B'), 1),
  mbytes: scale(1024, suffixed(IEC, 'B'), 2),
  gbytes: scale(1024, suffixed(IEC, 'B'), 3),
  tbytes: scale(1024, suffixed(IEC, 'B'), 4),
  decbits: scale(1000, suffixed(SI, 'b')),
  decbytes: scale(1000, suffixed(SI, 'B')),
  deckbytes: scale(1000, suffixed(SI, 'B'), 1),
  decmbytes: scale(1000, suffixed(SI, 'B'), 2),
  decgbytes: scale(1000, suffixed(SI, 'B'), 3),

  bps: scale(1000, suffixed(SI, 'b/s')),
  Bps: scale(1000, suffixed(SI, 'B/s')),
  binbps: scale(1024, suffixed(IEC, 'b/s')),
  binBps: scale(1024, suffixed(IEC, 'B/s')),
  KBs: scale(1000, suffixed(SI, 'B/s'), 1),
  MBs: scale(1000, suffixed(SI, 'B/s'), 2),
  GBs: scale(1000, suffixed(SI, 'B/s'), 3),
  Kbits: scale(1000, suffixed(SI, 'b/s'), 1),
  Mbits: scale(1000, suffixed(SI, 'b/s'), 2),
  Gbits: scale(1000, suffixed(SI, 'b/s'), 3),

  ns: time(0),
  µs: time(1),
  ms: time(2),
  s: time(3),
  m: time(4),
  h: time(5),
  d: time(6),
  dtdurationms: human(1),
  dtdurations: human(1000),
  dthms: hours(false),
  dtdhms: hours(true),
  timeticks: (value, decimals) => time(3)(value / 100, decimals),
  clockms: clock(1),
  clocks: clock(1000),

  dateTimeAsIso: date(localDateTime),
  dateTimeAsIsoNoDateIfToday: date(briefDate(localDateTime, (ms) => formatDate(ms, 'HH:mm:ss'))),
  dateTimeAsSystem: date((ms) => new Date(ms).toLocaleString()),
  dateTimeAsLocal: date((ms) => new Date(ms).toLocaleString()),
  dateTimeAsLocalNoDateIfToday: date(briefDate((ms) => new Date(ms).toLocaleString(), (ms) => new Date(ms).toLocaleTimeString())),
  dateTimeAsUSNoDateIfToday: date(briefDate((ms) => formatDate(ms, 'MM/DD/YYYY h:mm:ss a'), (ms) => formatDate(ms, 'h:mm:ss a'))),
  dateTimeAsUS: date((ms) => new Date(ms).toLocaleString('en-US')),
  // Callers that know the clock show it better; this form stays true while time passes.
  dateTimeFromNow: date(localDateTime),

  currencyUSD: currency('$'),
  currencyEUR: currency('€'),
  currencyGBP: currency('£'),
  currencyJPY: currency('¥'),
  currencyCNY: currency('¥'),
  currencyCHF: currency('CHF'),
  currencyINR: currency('₹'),
  currencyBRL: currency('R$'),
  currencyKRW: currency('₩'),
  currencyUAH: currency('₴'),
  currencyRUB: currency('₽'),

  bool: words('True', 'False'),
  bool_yes_no: words('Yes', 'No'),
  bool_on_off: words('On', 'Off'),
  ...Object.fromEntries(Object.entries(PER_SECOND).map(([id, unit]) => [id, scale(1000, suffixed(SI, unit))])),
  ...Object.fromEntries(Object.entries(PLAIN).map(([id, suffix]) => [id, plain(suffix)])),
  ...Object.fromEntries(Object.entries(PREFIXED).map(([id, [unit, offset]]) => [id, prefixed(unit, offset)])),
};

/** `si:mW` is given in milliwatts; a letter alone is the unit. */
function customSi(text: string): Format {
  const at = text.length > 1 ? SI_ALL.indexOf(text[0]!) : -1;
  return at < 0 ? prefixed(text) : prefixed(text.slice(1), at - SI_BARE);
}

function formatOf(unit: string): Format {
  const known = Object.hasOwn(FORMATS, unit) ? FORMATS[unit] : undefined;
  if (known) return known;
  const [kind, ...rest] = unit.split(':');
  const text = rest.join(':');
  if (rest.length > 0) {
    switch (kind) {
      case 'suffix': return plain(text);
      case 'prefix': return (value, decimals) => ({ text: fixed(value, decimals), prefix: text, suffix: '' });
      case 'si': return customSi(text);
      case 'count': return scale(1000, ['', 'K', 'M', 'B', 'T'].map((step) => `${step} ${text}`));
      case 'currency': return currency(text);
      case 'time': return date((ms) => (text === '' ? localDateTime(ms) : formatDate(ms, text)));
    }
  }
  return unit === '' ? plain('') : plain(` ${unit}`);
}

export function formatParts(value: number, unit = 'none', decimals?: number): Formatted {
  if (Number.isNaN(value)) return { text: 'NaN', prefix: '', suffix: '' };
  if (!Number.isFinite(value)) return { text: value > 0 ? '∞' : '-∞', prefix: '', suffix: '' };
  return formatOf(unit)(value, decimals);
}

/** The number with its unit: `1.5 GiB`. */
export function formatValue(value: number, unit?: string, decimals?: number): string {
  const { prefix, text, suffix } = formatParts(value, unit, decimals);
  return prefix + text + suffix;
}

/** Units that make a date of milliseconds since 1970. */
export function isDateUnit(unit: string | undefined): boolean {
  return unit !== undefined && /^(dateTime[A-Z]|time:)/.test(unit);
}

/** Units whose axis reads best in powers of two. */
export function isBinaryUnit(unit: string | undefined): boolean {
  return unit !== undefined && /^(bytes|bits|[kmgt]bytes|binBps|binbps)$/.test(unit);
}
