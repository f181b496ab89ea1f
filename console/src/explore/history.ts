/** Queries that ran, newest first, kept in the browser. */
import type { Language } from '../data/language';

export interface HistoryEntry {
  q: string;
  db: string;
  /** Entries from before there was a second one are in InfluxQL. */
  language?: Language | undefined;
  /** When it last ran, in milliseconds since 1970. */
  at: number;
}

const KEY = 'skywatch.explore.history';
const ENTRIES_MAX = 60;

/** The same query again moves to the top. */
export function remember(history: readonly HistoryEntry[], entry: HistoryEntry): HistoryEntry[] {
  const others = history.filter(({ q, db }) => q !== entry.q || db !== entry.db);
  return [entry, ...others].slice(0, ENTRIES_MAX);
}

export function loadHistory(): HistoryEntry[] {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(KEY) ?? '[]');
    return Array.isArray(stored) ? stored.filter(isEntry) : [];
  } catch {
    return [];
  }
}

export function saveHistory(history: readonly HistoryEntry[]): void {
  try {
    localStorage.setItem(KEY, JSON.stringify(history));
  } catch {
    // A full or forbidden storage costs the history, not the query.
  }
}

function isEntry(value: unknown): value is HistoryEntry {
  const entry = value as Partial<HistoryEntry> | null;
  return typeof entry?.q === 'string' && typeof entry.db === 'string' && typeof entry.at === 'number';
}
