/** InfluxQL's colours in the editor. */
import { HighlightStyle, StreamLanguage, syntaxHighlighting } from '@codemirror/language';
import { tags } from '@lezer/highlight';
import { FUNCTION_NAMES, WORDS } from './grammar';

const influxql = StreamLanguage.define<{ regexMayFollow: boolean }>({
  name: 'influxql',
  startState: () => ({ regexMayFollow: false }),
  token(stream, state) {
    if (stream.eatSpace()) return null;
    const regexMayFollow = state.regexMayFollow;
    state.regexMayFollow = false;
    if (stream.match(/^--.*/)) return 'comment';
    if (stream.match(/^\$\{?\w+\}?|^\[\[\w+\]\]/)) return 'macro';
    if (stream.match(/^'(?:[^'\\]|\\.)*'?/)) return 'string';
    if (stream.match(/^"(?:[^"\\]|\\.)*"?/)) return 'variableName';
    if (regexMayFollow && stream.match(/^\/(?:[^/\\]|\\.)*\/?/)) return 'regexp';
    if (stream.match(/^(?:=~|!~)/)) {
      state.regexMayFollow = true;
      return 'operator';
    }
    if (stream.match(/^\d+(?:\.\d+)?(?:ns|ms|us|µs|u|[smhdw])*/)) return 'number';
    const word = stream.match(/^[A-Za-z_]\w*/) as RegExpMatchArray | null;
    if (word) {
      const text = word[0].toLowerCase();
      state.regexMayFollow = text === 'from';
      if (stream.peek() === '(' && FUNCTION_NAMES.has(text)) return 'function';
      return WORDS.has(text) ? 'keyword' : 'variableName';
    }
    stream.next();
    return 'operator';
  },
  tokenTable: { macro: tags.special(tags.variableName), function: tags.function(tags.variableName) },
  languageData: { closeBrackets: { brackets: ['(', '"', "'"] }, commentTokens: { line: '--' } },
});

const colours = HighlightStyle.define([
  { tag: tags.keyword, color: 'var(--sw-code-keyword)', fontWeight: '600' },
  { tag: tags.function(tags.variableName), color: 'var(--sw-code-function)' },
  { tag: tags.special(tags.variableName), color: 'var(--sw-code-macro)' },
  { tag: tags.string, color: 'var(--sw-code-string)' },
  { tag: tags.regexp, color: 'var(--sw-code-string)' },
  { tag: tags.number, color: 'var(--sw-code-number)' },
  { tag: tags.operator, color: 'var(--sw-dim)' },
  { tag: tags.comment, color: 'var(--sw-faint)', fontStyle: 'italic' },
]);

export const influxqlSupport = [influxql, syntaxHighlighting(colours)];
