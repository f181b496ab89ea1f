/** From tables of text to lines of a log, the newest first. */
import { type Field, type Frame, rowCount, timeField } from '../data/frame';

export interface LogLine {
  key: string;
  time: number | null;
  text: string;
  /** What else is known of it: tags and further columns. */
  labels: [string, string][];
}

/** What columns of text are called that hold the line itself; another one is taken if there is none of these. */
const TEXT_NAMES = ['message', 'msg', 'body', 'line', 'log', 'value', '_value'];

export function logLines(frames: readonly Frame[], most: number): LogLine[] {
  const lines = frames.flatMap((frame, table) => {
    const times = timeField(frame)?.values;
    const body = bodyOf(frame);
    const others = frame.fields.filter((field) => field !== body && field.type !== 'time');
    return Array.from({ length: rowCount(frame) }, (_, row): LogLine => {
      const cell = (field: Field): [string, string][] => {
        const value = field.values[row] ?? null;
        return value === null || value === '' ? [] : [[field.name, String(value)]];
      };
      return { key: `${table}/${row}`, time: (times?.[row] as number | null | undefined) ?? null, text: String(body?.values[row] ?? ''), labels: others.flatMap(cell) };
    });
  });
  return lines.sort((a, b) => (b.time ?? 0) - (a.time ?? 0)).slice(0, most);
}

function bodyOf({ fields }: Frame): Field | undefined {
  const texts = fields.filter(({ type }) => type === 'string');
  return TEXT_NAMES.map((name) => texts.find((field) => field.name.toLowerCase() === name)).find((field) => field) ?? texts.at(-1);
}
