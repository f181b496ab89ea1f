/** Flux's colours in the editor. The server's parser alone decides what is right. */
import { StreamLanguage } from '@codemirror/language';
import { colours, tokenTable } from '../colours';

const KEYWORDS: ReadonlySet<string> = new Set([
  'package', 'import', 'option', 'builtin', 'test', 'testcase', 'return', 'if', 'then', 'else', 'and', 'or', 'not', 'exists', 'true', 'false', 'with',
]); // prettier-ignore

interface State {
  regexMayFollow: boolean;
}

export const fluxLanguage = StreamLanguage.define<State>({
  name: 'flux',
  startState: () => ({ regexMayFollow: false }),
  token(stream, state) {
    if (stream.eatSpace()) return null;
    const regexMayFollow = state.regexMayFollow;
    state.regexMayFollow = false;
    if (stream.match(/^\/\/.*/)) return 'comment';
    if (regexMayFollow && stream.match(/^\/(?:[^/\\]|\\.)+\/?/)) return 'regexp';
    if (stream.match(/^(?:\$\w+|\$\{\w+(?::\w+)?\}|\[\[\w+\]\]|v\.\w+)/)) return 'macro';
    if (stream.match(/^"(?:[^"\\]|\\.)*"?/)) return 'string';
    if (stream.match(/^\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:\d\d))?/)) return 'number';
    if (stream.match(/^\d+(?:\.\d+)?(?:(?:y|mo|w|d|h|m|s|ms|us|µs|ns)\d*)*/)) return 'number';
    const word = stream.match(/^[A-Za-z_]\w*/) as RegExpMatchArray | null;
    if (word) {
      if (KEYWORDS.has(word[0])) return 'keyword';
      if (stream.match(/^\s*\(/, false)) return 'function';
      return stream.match(/^\s*:/, false) ? 'propertyName' : 'variableName';
    }
    if (stream.match(/^(?:=~|!~|[(,:=[])/)) {
      state.regexMayFollow = true;
      return 'operator';
    }
    stream.next();
    return 'operator';
  },
  tokenTable,
  languageData: { closeBrackets: { brackets: ['(', '[', '{', '"'] }, commentTokens: { line: '//' } },
});

export const fluxSupport = [fluxLanguage, colours];
