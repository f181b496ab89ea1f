/** InfluxQL's colours in the editor. */
import { StreamLanguage } from '@codemirror/language';
import { colours, tokenTable } from './colours';
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
  tokenTable,
  languageData: { closeBrackets: { brackets: ['(', '"', "'"] }, commentTokens: { line: '--' } },
});

export const influxqlSupport = [influxql, colours];
