/**
 * Flux's answers: annotated CSV, read into tables while it arrives.
 *
 *     #datatype,string,long,dateTime:RFC3339,double,string
 *     #group,false,false,false,false,true
 *     #default,_result,,,,
 *     ,result,table,_time,_value,host
 *     ,,0,2026-11-30T04:00:00Z,1.5,a
 *
 * A table here is what Grafana makes a frame of: rows that follow each other with the same values in the group columns.
 */
import { CsvReader } from './csv';
import type { Cell, FieldType } from './frame';

export interface FluxColumn {
  name: string;
  type: FieldType;
  /** Part of the group key: the same in every row of a table. */
  grouped: boolean;
}

export interface FluxTable {
  /** Of which `yield()`. */
  result: string;
  columns: readonly FluxColumn[];
  /** The cells of each column. */
  values: readonly Cell[][];
}

export interface FluxAnswer {
  tables: FluxTable[];
  /** What was left out, in words for a person. */
  notice?: string | undefined;
}

/** More than a page can draw; whoever asks for it forgot to aggregate. */
export interface Limits {
  rows: number;
  tables: number;
  characters: number;
}

export const LIMITS: Limits = { rows: 200_000, tables: 1_000, characters: 64 << 20 };

/** The answer itself says that the query failed, before or after its first rows. */
export class FluxFailure extends Error {
  override name = 'FluxFailure';
}

type Convert = (text: string) => Cell;

const TYPES: Readonly<Record<string, { type: FieldType; convert: Convert }>> = {
  string: { type: 'string', convert: (text) => text },
  base64Binary: { type: 'string', convert: (text) => text },
  duration: { type: 'string', convert: (text) => text },
  double: { type: 'number', convert: numberOf },
  long: { type: 'number', convert: numberOf },
  unsignedLong: { type: 'number', convert: numberOf },
  boolean: { type: 'boolean', convert: (text) => text === 'true' },
  'dateTime:RFC3339': { type: 'time', convert: timeOf },
  'dateTime:RFC3339Nano': { type: 'time', convert: timeOf },
};

/** What the annotations and the header say about the rows below them. */
interface Block {
  width: number;
  columns: readonly FluxColumn[];
  /** The place of each column in a row. */
  places: readonly number[];
  /** Those of the group columns. */
  keyPlaces: readonly number[];
  converts: readonly Convert[];
  defaults: readonly string[];
  resultPlace: number;
}

export class FluxReader {
  readonly answer: FluxAnswer = { tables: [] };
  private readonly csv = new CsvReader((cells) => this.row(cells));
  private annotations: Record<string, string[]> = {};
  private block: Block | 'error' | undefined;
  private open: { key: string; values: Cell[][] } | undefined;
  private rows = 0;
  private characters = 0;

  constructor(private readonly limits: Limits = LIMITS) {}

  /** Whether more is wanted. Throws a `FluxFailure` when the answer tells of one or cannot be understood. */
  push(piece: string): boolean {
    this.characters += piece.length;
    if (!this.csv.push(piece)) return false;
    return this.characters <= this.limits.characters || this.stop('The answer is too long');
  }

  end(): FluxAnswer {
    this.csv.end();
    return this.answer;
  }

  private row(cells: string[]): boolean {
    if (cells.length === 1 && cells[0] === '') return true;
    const first = cells[0]!;
    if (first.startsWith('#')) {
      if (this.block) this.annotations = {};
      this.block = undefined;
      this.annotations[first] = cells;
      return true;
    }
    // A failure has a header of its own, without annotations.
    const named = first === '' ? cells.slice(1) : cells;
    if (named[0] === 'error' && named[1] === 'reference') this.block = 'error';
    else if (this.block === 'error') throw new FluxFailure(named[0] || 'the query failed');
    else if (!this.block) {
      this.block = blockOf(this.annotations, cells);
      this.open = undefined;
    } else return this.dataRow(cells, this.block);
    return true;
  }

  private dataRow(cells: string[], block: Block): boolean {
    if (cells.length !== block.width) throw new FluxFailure(`a row of the answer has ${cells.length} columns instead of ${block.width}`);
    const text = (place: number) => cells[place] || block.defaults[place] || '';
    const result = block.resultPlace < 0 ? '' : text(block.resultPlace);
    const key = [result, ...block.keyPlaces.map(text)].join('\u0000');
    if (this.open?.key !== key) {
      if (this.answer.tables.length >= this.limits.tables) return this.stop(`Only the first ${this.limits.tables.toLocaleString('en')} series are shown`);
      const values = block.columns.map((): Cell[] => []);
      this.open = { key, values };
      this.answer.tables.push({ result, columns: block.columns, values });
    }
    if (this.rows >= this.limits.rows) return this.stop(`Only the first ${this.limits.rows.toLocaleString('en')} rows are shown`);
    this.rows += 1;
    for (let i = 0; i < block.places.length; i++) {
      const cell = text(block.places[i]!);
      this.open.values[i]!.push(cell === '' ? null : block.converts[i]!(cell));
    }
    return true;
  }

  private stop(what: string): false {
    this.answer.notice = `${what}: filter more, or use aggregateWindow() for fewer points`;
    return false;
  }
}

function blockOf(annotations: Record<string, string[]>, header: readonly string[]): Block {
  const types = annotations['#datatype'];
  if (!types) throw new FluxFailure('the answer has no annotation "#datatype"');
  const [groups, defaults] = [annotations['#group'] ?? [], annotations['#default'] ?? []];
  // Which result and which table are told by the rows; neither is a column of the data.
  const places = header.map((_, place) => place).filter((place) => place > 0 && header[place] !== 'result' && header[place] !== 'table');
  const known = places.map((place) => {
    const type = types[place] ?? '';
    const found = Object.hasOwn(TYPES, type) ? TYPES[type] : undefined;
    if (!found) throw new FluxFailure(`the column ${JSON.stringify(header[place])} has an unknown type ${JSON.stringify(type)}`);
    return found;
  });
  return {
    width: header.length,
    columns: places.map((place, i) => ({ name: header[place]!, type: known[i]!.type, grouped: groups[place] === 'true' })),
    places,
    keyPlaces: places.filter((place) => groups[place] === 'true'),
    converts: known.map(({ convert }) => convert),
    defaults,
    resultPlace: header.indexOf('result'),
  };
}

function numberOf(text: string): number {
  if (text === '+Inf') return Infinity;
  return text === '-Inf' ? -Infinity : Number(text);
}

/** Milliseconds since 1970; what is finer is cut off, before 1970 too. */
export function timeOf(text: string): number | null {
  const match = /^(\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d+))?(Z|[+-]\d\d:\d\d)$/.exec(text);
  const seconds = match ? Date.parse(match[1]! + match[3]!) : NaN;
  return Number.isNaN(seconds) ? null : seconds + Number((match?.[2] ?? '').slice(0, 3).padEnd(3, '0'));
}
