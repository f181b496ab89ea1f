/** The colours of the editor, the same in both languages. */
import { HighlightStyle, syntaxHighlighting } from '@codemirror/language';
import { tags } from '@lezer/highlight';

const style = HighlightStyle.define([
  { tag: tags.keyword, color: 'var(--sw-code-keyword)', fontWeight: '600' },
  { tag: tags.function(tags.variableName), color: 'var(--sw-code-function)' },
  { tag: tags.special(tags.variableName), color: 'var(--sw-code-macro)' },
  { tag: tags.string, color: 'var(--sw-code-string)' },
  { tag: tags.regexp, color: 'var(--sw-code-string)' },
  { tag: tags.number, color: 'var(--sw-code-number)' },
  { tag: tags.operator, color: 'var(--sw-dim)' },
  { tag: tags.propertyName, color: 'var(--sw-dim)' },
  { tag: tags.comment, color: 'var(--sw-faint)', fontStyle: 'italic' },
]);

/** Names of tokens that both languages use besides CodeMirror's own. */
export const tokenTable = { macro: tags.special(tags.variableName), function: tags.function(tags.variableName) };

export const colours = syntaxHighlighting(style);
