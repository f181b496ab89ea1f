/** Where in the query the server found its error: "... at line 1, char 8". */

/** Offset into the text, within it; `undefined` when the message names no place. */
export function errorOffset(message: string, text: string): number | undefined {
  const match = /at line (\d+), char (\d+)/.exec(message);
  if (!match) return undefined;
  const [line, char] = [Number(match[1]), Number(match[2])];
  const lines = text.split('\n');
  let offset = 0;
  for (let i = 0; i < line - 1 && i < lines.length; i++) offset += lines[i]!.length + 1;
  return Math.max(0, Math.min(text.length, offset + char - 1));
}

/** The word at the offset, for marking; at least one character. */
export function errorSpan(offset: number, text: string): [from: number, to: number] {
  const word = /^(?:\w+|"[^"]*"|'[^']*'|\S)/.exec(text.slice(offset))?.[0] ?? '';
  if (word !== '') return [offset, offset + word.length];
  // At the very end there is nothing to mark but what came before.
  return [Math.max(0, offset - 1), Math.max(offset, Math.min(1, text.length))];
}

/**
 * Variables and macros are filled in before the server sees the query, so a place beyond the first of them would be wrong
 * in the text as typed. Then the mark is dropped and the message alone speaks.
 */
export function isSameUpTo(offset: number, typed: string, sent: string): boolean {
  return typed.slice(0, offset) === sent.slice(0, offset);
}
