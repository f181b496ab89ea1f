/**
 * Flux's standard library as the editor offers it: the one list of functions, their arguments and what they do. A question
 * mark follows what may be left out; `<-` begins what is fed by a pipe. The server alone decides what is right.
 */

export interface LibraryFunction {
  name: string;
  args: readonly { name: string; optional: boolean }[];
  /** Takes tables from `|>`. */
  piped: boolean;
  what: string;
}

export interface Package {
  /** As in `import "..."`; empty for what is there without an import. */
  path: string;
  /** What its members are written behind. */
  name: string;
  functions: readonly LibraryFunction[];
}

type Entry = readonly [call: string, what: string];

const UNIVERSE: readonly Entry[] = [
  ['from(bucket)', 'the points of a bucket'],
  ['buckets()', 'databases and their retention policies'],
  ['range(<-, start, stop?, timeColumn?, startColumn?, stopColumn?)', 'only this time'],
  ['filter(<-, fn, onEmpty?)', 'only rows for which fn is true'],
  ['aggregateWindow(<-, every, fn, period?, offset?, column?, timeSrc?, timeDst?, createEmpty?, location?)', 'one value for each window of time'],
  ['window(<-, every?, period?, offset?, timeColumn?, startColumn?, stopColumn?, createEmpty?, location?)', 'a table for each window of time'],
  ['group(<-, columns?, mode?)', 'tables by the values of columns'],
  ['map(<-, fn, mergeKey?)', 'new columns out of each row'],
  ['keep(<-, columns?, fn?)', 'only these columns'],
  ['drop(<-, columns?, fn?)', 'without these columns'],
  ['rename(<-, columns?, fn?)', 'other names for columns'],
  ['duplicate(<-, column, as)', 'a column once more'],
  ['set(<-, key, value)', 'a column of one value'],
  ['fill(<-, column?, value?, usePrevious?)', 'something in place of nothing'],
  ['sort(<-, columns?, desc?)', 'rows in order'],
  ['limit(<-, n, offset?)', 'the first rows of each table'],
  ['tail(<-, n, offset?)', 'the last rows of each table'],
  ['yield(<-, name?)', 'a result under a name'],
  ['pivot(<-, rowKey, columnKey, valueColumn)', 'values of a column become columns'],
  ['join(tables, on?, method?)', 'rows of two streams with equal columns'],
  ['union(tables)', 'several streams as one'],
  ['unique(<-, column?)', 'one row for each value'],
  ['distinct(<-, column?)', 'the different values'],
  ['first(<-, column?)', 'oldest value'],
  ['last(<-, column?)', 'newest value'],
  ['max(<-, column?)', 'greatest value'],
  ['min(<-, column?)', 'smallest value'],
  ['mean(<-, column?)', 'average'],
  ['median(<-, column?, method?, compression?)', 'middle value'],
  ['mode(<-, column?)', 'most frequent value'],
  ['sum(<-, column?)', 'total'],
  ['count(<-, column?)', 'number of values'],
  ['spread(<-, column?)', 'greatest minus smallest'],
  ['stddev(<-, column?, mode?)', 'standard deviation'],
  ['skew(<-, column?)', 'skewness'],
  ['integral(<-, unit?, column?, timeColumn?, interpolate?)', 'area under the curve'],
  ['timeWeightedAvg(<-, unit)', 'average that knows how long a value was'],
  ['quantile(<-, q, column?, method?, compression?)', 'value at a share: q: 0.95'],
  ['top(<-, n, columns?)', 'the greatest rows'],
  ['bottom(<-, n, columns?)', 'the smallest rows'],
  ['highestMax(<-, n, column?, groupColumns?)', 'tables with the greatest maximum'],
  ['highestAverage(<-, n, column?, groupColumns?)', 'tables with the greatest average'],
  ['highestCurrent(<-, n, column?, groupColumns?)', 'tables with the greatest newest value'],
  ['lowestMin(<-, n, column?, groupColumns?)', 'tables with the smallest minimum'],
  ['lowestAverage(<-, n, column?, groupColumns?)', 'tables with the smallest average'],
  ['lowestCurrent(<-, n, column?, groupColumns?)', 'tables with the smallest newest value'],
  ['sample(<-, n, pos?, column?)', 'every nth row'],
  ['derivative(<-, unit?, nonNegative?, columns?, timeColumn?, initialZero?)', 'growth for each unit of time'],
  ['difference(<-, nonNegative?, columns?, keepFirst?, initialZero?)', 'growth from row to row'],
  ['increase(<-, columns?)', 'growth of counters that may restart'],
  ['cumulativeSum(<-, columns?)', 'running total'],
  ['movingAverage(<-, n)', 'average of the last rows'],
  ['timedMovingAverage(<-, every, period, column?)', 'average of the last while'],
  ['exponentialMovingAverage(<-, n)', 'average that forgets'],
  ['doubleEMA(<-, n)', 'double exponential average'],
  ['tripleEMA(<-, n)', 'triple exponential average'],
  ['tripleExponentialDerivative(<-, n)', 'rate of the triple average'],
  ['relativeStrengthIndex(<-, n, columns?)', 'relative strength'],
  ['kaufmansAMA(<-, n, column?)', 'adaptive average'],
  ['kaufmansER(<-, n)', 'efficiency ratio'],
  ['chandeMomentumOscillator(<-, n, columns?)', 'momentum'],
  ['elapsed(<-, unit?, timeColumn?, columnName?)', 'time since the row before'],
  ['stateCount(<-, fn, column?)', 'rows in a state so far'],
  ['stateDuration(<-, fn, column?, timeColumn?, unit?)', 'time in a state so far'],
  ['stateTracking(<-, fn, countColumn?, durationColumn?, durationUnit?, timeColumn?)', 'rows and time in a state'],
  ['histogram(<-, bins, column?, upperBoundColumn?, countColumn?, normalize?)', 'how many up to each bound'],
  ['histogramQuantile(<-, quantile, countColumn?, upperBoundColumn?, valueColumn?, minValue?, onNonmonotonic?)', 'value at a share of a histogram'],
  ['covariance(<-, columns, pearsonr?, valueDst?)', 'covariance of two columns'],
  ['cov(x, y, on, pearsonr?)', 'covariance of two streams'],
  ['pearsonr(x, y, on)', 'correlation of two streams'],
  ['reduce(<-, fn, identity)', 'one row out of many'],
  ['hourSelection(<-, start, stop, location?, timeColumn?)', 'only hours of the day'],
  ['timeShift(<-, duration, columns?)', 'times moved'],
  ['truncateTimeColumn(<-, unit, timeColumn?)', 'times cut to a unit'],
  ['toFloat(<-)', 'values as floats'],
  ['toInt(<-)', 'values as integers'],
  ['toUInt(<-)', 'values as unsigned integers'],
  ['toString(<-)', 'values as text'],
  ['toBool(<-)', 'values as booleans'],
  ['toTime(<-)', 'values as times'],
  ['columns(<-, column?)', 'names of the columns'],
  ['keys(<-, column?)', 'names of the group columns'],
  ['keyValues(<-, keyColumns?)', 'values of the group columns'],
  ['findColumn(<-, fn, column)', 'a column as an array'],
  ['findRecord(<-, fn, idx)', 'a row as a record'],
  ['getColumn(<-, column)', 'a column of a table as an array'],
  ['getRecord(<-, idx)', 'a row of a table as a record'],
  ['tableFind(<-, fn)', 'a table'],
  ['contains(value, set)', 'whether an array has a value'],
  ['float(v)', 'as a float'],
  ['int(v)', 'as an integer'],
  ['uint(v)', 'as an unsigned integer'],
  ['string(v)', 'as text'],
  ['bool(v)', 'as a boolean'],
  ['time(v)', 'as a time'],
  ['duration(v)', 'as a duration'],
  ['bytes(v)', 'as bytes'],
  ['display(v)', 'as text, whatever it is'],
  ['length(arr)', 'length of an array'],
  ['linearBins(start, width, count, infinity?)', 'bounds of equal distance'],
  ['logarithmicBins(start, factor, count, infinity?)', 'bounds of growing distance'],
  ['now()', 'the time of the query'],
  ['today()', 'the start of today'],
  ['die(msg)', 'ends the query with an error'],
];

const DATE_PARTS = ['second', 'minute', 'hour', 'weekDay', 'monthDay', 'yearDay', 'month', 'quarter', 'week', 'year', 'millisecond', 'microsecond', 'nanosecond'];
const DAYS = ['monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday', 'sunday'];
const MATH_OF_ONE = ['abs', 'acos', 'asin', 'atan', 'cbrt', 'ceil', 'cos', 'cosh', 'exp', 'exp2', 'floor', 'log', 'log10', 'log1p', 'log2', 'round', 'roundToEven', 'sin', 'sinh', 'sqrt', 'tan', 'tanh', 'trunc'];

const PACKAGES: Readonly<Record<string, readonly Entry[]>> = {
  '': UNIVERSE,
  array: [
    ['from(rows)', 'a table of an array of records'],
    ['concat(<-, v)', 'two arrays as one'],
    ['filter(<-, fn)', 'only these elements'],
    ['map(<-, fn)', 'other elements'],
  ],
  csv: [['from(csv?, file?, mode?, url?)', 'tables of CSV']],
  date: [
    ...DATE_PARTS.map((part): Entry => [`${part}(t, location?)`, `the ${part} of a time`]),
    ['truncate(t, unit, location?)', 'a time cut to a unit'],
    ['add(d, to, location?)', 'later by a duration'],
    ['sub(d, from, location?)', 'earlier by a duration'],
    ['scale(d, n)', 'a duration times a number'],
    ['time(t, location?)', 'a time of a time or a duration'],
  ],
  'date/boundaries': [
    ['yesterday()', 'start and stop of yesterday'],
    ['week(start_sunday?, week_offset?)', 'start and stop of a week'],
    ['month(month_offset?)', 'start and stop of a month'],
    ...DAYS.map((day): Entry => [`${day}()`, `start and stop of last ${day[0]!.toUpperCase()}${day.slice(1)}`]),
  ],
  dict: [
    ['fromList(pairs)', 'a dictionary of pairs'],
    ['get(dict, key, default)', 'what a key stands for'],
    ['insert(dict, key, value)', 'with one more'],
    ['remove(dict, key)', 'with one less'],
  ],
  experimental: [
    ['addDuration(d, to, location?)', 'later by a duration'],
    ['subDuration(d, from, location?)', 'earlier by a duration'],
    ['group(<-, columns, mode)', 'more group columns'],
    ['objectKeys(o)', 'names of a record'],
    ['set(<-, o)', 'columns of one value'],
    ['alignTime(<-, alignTo?)', 'times moved to a common start'],
    ['preview(<-, nrows?, ntables?)', 'a few rows of a few tables'],
  ],
  generate: [['from(start, stop, count, fn)', 'made-up rows']],
  'influxdata/influxdb': [['cardinality(bucket, start, stop?, predicate?)', 'number of series']],
  'influxdata/influxdb/schema': [
    ['measurements(bucket, start?, stop?)', 'names of measurements'],
    ['measurementFieldKeys(bucket, measurement, start?, stop?)', 'fields of a measurement'],
    ['measurementTagKeys(bucket, measurement, start?, stop?)', 'tags of a measurement'],
    ['measurementTagValues(bucket, measurement, tag, start?, stop?)', 'values of a tag in a measurement'],
    ['fieldKeys(bucket, predicate?, start?, stop?)', 'names of fields'],
    ['tagKeys(bucket, predicate?, start?, stop?)', 'names of tags'],
    ['tagValues(bucket, tag, predicate?, start?, stop?)', 'values of a tag'],
    ['fieldsAsCols(<-)', 'fields become columns'],
  ],
  'influxdata/influxdb/v1': [
    ['databases()', 'databases and their policies'],
    ['measurements(bucket)', 'names of measurements'],
    ['measurementTagKeys(bucket, measurement)', 'tags of a measurement'],
    ['measurementTagValues(bucket, measurement, tag)', 'values of a tag in a measurement'],
    ['tagKeys(bucket, predicate?, start?)', 'names of tags'],
    ['tagValues(bucket, tag, predicate?, start?)', 'values of a tag'],
    ['fieldsAsCols(<-)', 'fields become columns'],
  ],
  interpolate: [['linear(<-, every)', 'points between points']],
  join: [
    ['inner(left, right, on, as)', 'rows that both have'],
    ['left(left, right, on, as)', 'all rows of the left'],
    ['right(left, right, on, as)', 'all rows of the right'],
    ['full(left, right, on, as)', 'all rows of both'],
    ['time(left, right, as, method?)', 'rows of the same time'],
    ['tables(left, right, on, as, method)', 'rows of two streams'],
  ],
  json: [['encode(v)', 'a value as JSON']],
  math: [
    ...MATH_OF_ONE.map((name): Entry => [`${name}(x)`, '']),
    ['pow10(n)', '10 to the power of n'],
    ['NaN()', 'not a number'],
    ['mInf(sign)', 'infinity'],
    ['pow(x, y)', 'x to the power of y'],
    ['mod(x, y)', 'remainder'],
    ['hypot(p, q)', 'length of a diagonal'],
    ['atan2(x, y)', 'angle'],
    ['isInf(f, sign)', 'whether infinite'],
    ['isNaN(f)', 'whether not a number'],
    ['mMax(x, y)', 'the greater'],
    ['mMin(x, y)', 'the smaller'],
  ],
  regexp: [
    ['compile(v)', 'a regular expression of text'],
    ['matchRegexpString(r, v)', 'whether text matches'],
    ['findString(r, v)', 'the first match'],
    ['findStringIndex(r, v)', 'where the first match is'],
    ['replaceAllString(r, v, t)', 'matches replaced'],
    ['quoteMeta(v)', 'text without special characters'],
    ['getString(r)', 'its text'],
    ['splitRegexp(r, v, i)', 'text cut at matches'],
  ],
  strings: [
    ['containsStr(v, substr)', 'whether text is in text'],
    ['containsAny(v, chars)', 'whether any character is in text'],
    ['countStr(v, substr)', 'how often text is in text'],
    ['hasPrefix(v, prefix)', 'whether text begins so'],
    ['hasSuffix(v, suffix)', 'whether text ends so'],
    ['compare(v, t)', 'which comes first'],
    ['equalFold(v, t)', 'whether equal but for capitals'],
    ['isDigit(v)', 'whether a digit'],
    ['isLetter(v)', 'whether a letter'],
    ['isLower(v)', 'whether a small letter'],
    ['isUpper(v)', 'whether a capital'],
    ['indexAny(v, chars)', 'where any character is first'],
    ['lastIndexAny(v, chars)', 'where any character is last'],
    ['index(v, substr)', 'where text is in text'],
    ['lastIndex(v, substr)', 'where text is last in text'],
    ['joinStr(arr, v)', 'texts as one'],
    ['repeat(v, i)', 'text several times'],
    ['replace(v, t, u, i)', 'the first i replaced'],
    ['replaceAll(v, t, u)', 'all replaced'],
    ['split(v, t)', 'text cut in pieces'],
    ['splitAfter(v, t)', 'text cut in pieces, each with its end'],
    ['splitAfterN(v, t, i)', 'text cut in at most i pieces, each with its end'],
    ['splitN(v, t, i)', 'text cut in at most i pieces'],
    ['strlen(v)', 'number of characters'],
    ['substring(v, start, end)', 'a part of text'],
    ['title(v)', 'Each Word So'],
    ['toTitle(v)', 'in title letters'],
    ['toLower(v)', 'in small letters'],
    ['toUpper(v)', 'in capitals'],
    ['trim(v, cutset)', 'without characters at both ends'],
    ['trimLeft(v, cutset)', 'without characters at the start'],
    ['trimRight(v, cutset)', 'without characters at the end'],
    ['trimPrefix(v, prefix)', 'without a beginning'],
    ['trimSuffix(v, suffix)', 'without an ending'],
    ['trimSpace(v)', 'without blanks at both ends'],
  ],
  runtime: [['version()', 'of Flux']],
  system: [['time()', 'the time of the clock']],
  timezone: [
    ['fixed(offset)', 'a zone of a fixed offset'],
    ['location(name)', 'a zone by its name'],
  ],
  types: [
    ['isType(v, type)', 'whether a value is of a type'],
    ['isNumeric(v)', 'whether a value is a number'],
  ],
};

/** The first is what is there without an import. */
export const LIBRARY: readonly Package[] = Object.entries(PACKAGES).map(([path, entries]) => ({
  path,
  name: path.slice(path.lastIndexOf('/') + 1),
  functions: entries.map(parsed),
}));

/** Functions that aggregateWindow() and the like take by name. */
export const AGGREGATES = ['mean', 'max', 'min', 'last', 'first', 'sum', 'count', 'median', 'spread', 'stddev', 'mode', 'distinct', 'integral'] as const;

function parsed([call, what]: Entry): LibraryFunction {
  const open = call.indexOf('(');
  const words = call.slice(open + 1, -1).split(',').map((word) => word.trim()).filter(Boolean); // prettier-ignore
  const args = words.filter((word) => word !== '<-').map((word) => ({ name: word.replace('?', ''), optional: word.endsWith('?') }));
  return { name: call.slice(0, open), args, piped: words[0] === '<-', what };
}

/** As written in a query: `mean` or `strings.trim`. */
export function functionCalled(callee: string): LibraryFunction | undefined {
  const dot = callee.lastIndexOf('.');
  const [packageName, name] = dot < 0 ? ['', callee] : [callee.slice(0, dot), callee.slice(dot + 1)];
  return LIBRARY.filter((one) => one.name === packageName).flatMap(({ functions }) => functions).find((one) => one.name === name); // prettier-ignore
}

/** The call as a person reads it. */
export function signature({ args }: LibraryFunction): string {
  return `(${args.map(({ name, optional }) => (optional ? `${name}?` : name)).join(', ')})`;
}
