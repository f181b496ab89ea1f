/** What completion offers, in either language. */
import type { Schema } from './schema';

export interface Suggestion {
  label: string;
  /** Text to insert when it differs from the label. */
  apply?: string;
  detail?: string;
  kind: 'keyword' | 'function' | 'field' | 'tag' | 'measurement' | 'value' | 'macro';
}

export interface Completions {
  /** Where the word being typed begins; its opening quote counts. */
  from: number;
  /** Offered before a letter is typed, because something certain is expected. */
  eager: boolean;
  /** Text that goes on with the word: the list is filtered, not fetched again. */
  word: RegExp;
  list(): Promise<Suggestion[]>;
}

/** For the text of the whole query and the cursor in it. */
export type Completer = (text: string, at: number, schema: Schema) => Completions;
