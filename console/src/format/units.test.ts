import { describe, expect, test } from 'vitest';
import { localDateTime } from '../time/range';
import { formatValue, isBinaryUnit } from './units';

describe('units', () => {
  test.each<[number, string | undefined, number | undefined, string]>([
    [0, 'bytes', undefined, '0 B'],
    [1536, 'bytes', undefined, '1.5 KiB'],
    [1_048_575, 'bytes', undefined, '1 MiB'],
    [-2048, 'bytes', undefined, '-2 KiB'],
    [8_388_608, 'kbytes', undefined, '8 GiB'],
    [1_500_000, 'decbytes', undefined, '1.5 MB'],
    [125_000_000, 'bps', undefined, '125 Mb/s'],
    [999.96, 'bps', undefined, '1 kb/s'],
    [2_500, 'iops', undefined, '2.5 kIO/s'],
    [12.345, 'percent', undefined, '12.3%'],
    [12, 'percent', 1, '12.0%'],
    [0.256, 'percentunit', undefined, '25.6%'],
    [1_234_567, 'short', undefined, '1.23 Mil'],
    [0.00123, undefined, undefined, '0.00123'],
    [1, undefined, undefined, '1'],
    [0.1 + 0.2, 'none', undefined, '0.3'],
    [1_500, 'ms', undefined, '1.5 s'],
    [0.002, 's', undefined, '2 ms'],
    [90, 's', undefined, '1.5 min'],
    [3_500_000, 'ns', undefined, '3.5 ms'],
    [93_784, 'dtdurations', undefined, '1d 2h'],
    [1, 'bool_yes_no', undefined, 'Yes'],
    [3, 'suffix: cores', undefined, '3 cores'],
    [3, 'prefix:v', undefined, 'v3'],
    [4_200, 'si:Hz', undefined, '4.2 kHz'],
    [7, 'furlongs', undefined, '7 furlongs'],
    [1_250, 'currencyEUR', undefined, '€1.25K'],
    [255, 'hex0x', undefined, '0xFF'],
    [Number.NaN, 'bytes', undefined, 'NaN'],
    [Infinity, 'bytes', undefined, '∞'],
  ])('%d as %s (%s decimals) is %s', (value, unit, decimals, text) => expect(formatValue(value, unit, decimals)).toBe(text));

  test.each([
    [0.005, 'watt', undefined, '5 mW'],
    [0.000_02, 'amp', undefined, '20 µA'],
    [-0.5, 'volt', undefined, '-500 mV'],
    [0, 'watt', undefined, '0 W'],
    [1_500, 'watt', undefined, '1.5 kW'],
    [0.5, 'kwatt', undefined, '500 W'],
    [230_000, 'mvolt', undefined, '230 V'],
    [3, 'mamp', undefined, '3 mA'],
    [1_500, 'mlitre', undefined, '1.5 l'],
    [20, 'lengthmm', undefined, '20 mm'],
    [3, 'si:mW', undefined, '3 mW'],
    [7, 'velocityknot', undefined, '7 kn'],
    [7, 'm3', undefined, '7 m³'],
    [7, 'flowcms', undefined, '7 cms'],
    [1_250, 'currencyCHF', undefined, 'CHF1.25K'],
    [50, 'clockms', undefined, '050ms'],
    [4_050, 'clockms', undefined, '04s:050ms'],
    [3_724_050, 'clockms', undefined, '01h:02m:04s:050ms'],
    [3_724_050, 'clockms', 1, '01h:02m'],
    [124, 'clocks', 0, '02m'],
    [6_000, 'timeticks', undefined, '1 min'],
    [93_784, 'dthms', undefined, '26:03:04'],
    [93_784, 'dtdhms', undefined, '1 d 02:03:04'],
    [-5, 'dthms', undefined, '00:00:05 ago'],
    [new Date(2026, 2, 3, 4, 5, 6).getTime(), 'time:YYYY/MM/DD HH:mm', undefined, '2026/03/03 04:05'],
    [new Date(2026, 2, 3, 4, 5, 6).getTime(), 'dateTimeAsIsoNoDateIfToday', undefined, '2026-03-03 04:05:06'],
  ])('%d as %s (%s decimals) is %s', (value, unit, decimals, text) => expect(formatValue(value, unit, decimals)).toBe(text));

  test('a time of today needs no date', () => {
    const now = Date.now();
    expect(formatValue(now, 'dateTimeAsIsoNoDateIfToday')).toBe(localDateTime(now).slice(11));
  });

  test('an id that is a property of every object is no unit of ours', () => {
    expect(formatValue(1, 'toString')).toBe('1 toString');
  });

  test('binary units', () => {
    expect(isBinaryUnit('bytes')).toBe(true);
    expect(isBinaryUnit('bps')).toBe(false);
    expect(isBinaryUnit(undefined)).toBe(false);
  });
});
