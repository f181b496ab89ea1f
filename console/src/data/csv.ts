/** CSV as RFC 4180 has it, read piece by piece: rows come out as soon as their last line has arrived. */

const [QUOTE, NEWLINE] = [0x22, 0x0a];

export class CsvReader {
  /** What has arrived of the row under way, and how far it was looked through. */
  private rest = '';
  private looked = 0;
  private quoted = false;

  /** `onRow` answers whether it wants another. */
  constructor(private readonly onRow: (cells: string[]) => boolean) {}

  /** Whether more is wanted. */
  push(piece: string): boolean {
    this.rest += piece;
    let start = 0;
    for (let at = this.looked; at < this.rest.length; at++) {
      const char = this.rest.charCodeAt(at);
      // A doubled quote leaves and enters again, which comes to the same.
      if (char === QUOTE) this.quoted = !this.quoted;
      if (char !== NEWLINE || this.quoted) continue;
      const wantsMore = this.onRow(cellsOf(this.rest.slice(start, at)));
      start = at + 1;
      if (!wantsMore) return false;
    }
    this.rest = this.rest.slice(start);
    this.looked = this.rest.length;
    return true;
  }

  /** The last row need not end in a line's end. */
  end(): void {
    if (this.rest !== '') this.onRow(cellsOf(this.rest));
    this.rest = '';
  }
}

/** The cells of a row; an empty line has one, which is empty. */
function cellsOf(line: string): string[] {
  const row = line.endsWith('\r') ? line.slice(0, -1) : line;
  if (!row.includes('"')) return row.split(',');
  const cells: string[] = [];
  let cell = '';
  let quoted = false;
  for (let at = 0; at < row.length; at++) {
    const char = row[at]!;
    if (char === '"') {
      if (quoted && row[at + 1] === '"') {
        cell += '"';
        at += 1;
      } else quoted = !quoted;
    } else if (char === ',' && !quoted) {
      cells.push(cell);
      cell = '';
    } else cell += char;
  }
  return [...cells, cell];
}
