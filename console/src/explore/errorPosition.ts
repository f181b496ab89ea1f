/**
 * Where in the query the server found its error: InfluxQL says "... at line 1, char 8", Flux "error @1:49-1:54: ..." with
 * columns that count bytes.
 */
import { type Filled, typedOffset } from '../dashboard/interpolate';

export interface Mark {
  from: number;
  to: number;
}

export interface ErrorMark extends Mark {
  message: string;
}

/** The place in the text as typed; `undefined` when the message names none. */
export function markOf(message: string, typed: string, filled: Filled): Mark | undefined {
  const flux = /@(\d+):(\d+)(?:-(\d+):(\d+))?/.exec(message);
  const influxql = flux ? null : /at line (\d+), char (\d+)/.exec(message);
  const sent = filled.text;
  if (flux) {
    const [line, column, endLine, endColumn] = flux.slice(1).map(Number);
    const from = typedOffset(filled, offsetOf(sent, line!, column!, bytesBefore));
    const to = endLine ? typedOffset(filled, offsetOf(sent, endLine, endColumn!, bytesBefore)) : from;
    return to > from ? { from, to } : wordAt(from, typed);
  }
  return influxql ? wordAt(typedOffset(filled, offsetOf(sent, Number(influxql[1]), Number(influxql[2]), charsBefore)), typed) : undefined;
}

/** The word at a place of the text as sent, in Flux. */
export function markAt({ line, column }: { line: number; column: number }, typed: string, filled: Filled): Mark {
  return wordAt(typedOffset(filled, offsetOf(filled.text, line, column, bytesBefore)), typed);
}

/** Offset into the text, within it, of a line and a column that count from 1. */
function offsetOf(text: string, line: number, column: number, before: (text: string, column: number) => number): number {
  const lines = text.split('\n');
  let offset = 0;
  for (let i = 0; i < line - 1 && i < lines.length; i++) offset += lines[i]!.length + 1;
  return Math.max(0, Math.min(text.length, offset + before(lines[line - 1] ?? '', column)));
}

function charsBefore(_: string, column: number): number {
  return column - 1;
}

function bytesBefore(line: string, column: number): number {
  let bytes = 1;
  let at = 0;
  for (const char of line) {
    if (bytes >= column) return at;
    bytes += new TextEncoder().encode(char).length;
    at += char.length;
  }
  return at;
}

/** The word at the offset; at least one character. */
function wordAt(offset: number, text: string): Mark {
  const word = /^(?:\w+|"[^"]*"|'[^']*'|\S)/.exec(text.slice(offset))?.[0] ?? '';
  if (word !== '') return { from: offset, to: offset + word.length };
  // At the very end there is nothing to mark but what came before.
  return { from: Math.max(0, offset - 1), to: Math.max(offset, Math.min(1, text.length)) };
}
