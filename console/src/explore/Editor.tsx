/** The query editor: CodeMirror with a language's colours, completion from the schema and the server's error marked. */
import { autocompletion, closeBrackets, closeBracketsKeymap, closeCompletion, type CompletionContext, completionKeymap, type CompletionResult } from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { bracketMatching } from '@codemirror/language';
import { type Diagnostic, setDiagnostics } from '@codemirror/lint';
import { EditorState, Prec } from '@codemirror/state';
import { EditorView, keymap, placeholder } from '@codemirror/view';
import { useEffect, useRef } from 'react';
import { type Language, LANGUAGE_NAMES } from '../data/language';
import { influxqlCompletions } from './completion';
import type { ErrorMark } from './errorPosition';
import classes from './explore.module.css';
import { fluxCompletions } from './flux/completion';
import { fluxSupport } from './flux/language';
import { influxqlSupport } from './language';
import type { Schema } from './schema';
import type { Completer } from './suggestion';
import { TEXTS } from './texts';

const COMPLETERS: Readonly<Record<Language, Completer>> = { influxql: influxqlCompletions, flux: fluxCompletions };
const SUPPORT = { influxql: influxqlSupport, flux: fluxSupport };

export interface EditorProps {
  /** Another language is another editor: give it another key. */
  language: Language;
  value: string;
  schema: Schema;
  /** Part of the text to mark, with the reason. */
  error: ErrorMark | undefined;
  onChange(value: string): void;
  onRun(): void;
}

const look = EditorView.theme({
  '&': { fontSize: '13px', backgroundColor: 'transparent', maxHeight: '40vh' },
  '&.cm-focused': { outline: 'none' },
  '.cm-scroller': { fontFamily: 'var(--sw-mono)', fontVariantLigatures: 'none', lineHeight: '1.6', minHeight: '84px' },
  '.cm-content': { caretColor: 'var(--sw-text)', padding: '8px 4px' },
  '.cm-cursor': { borderLeftColor: 'var(--sw-text)' },
  '&.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground, .cm-selectionBackground': { background: 'var(--sw-accent-soft)' },
  '.cm-tooltip': { border: '1px solid var(--sw-border-strong)', borderRadius: '6px', background: 'var(--sw-raised)', color: 'var(--sw-text)', overflow: 'hidden' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--sw-mono)', fontSize: '12.5px', maxHeight: '16em' },
  '.cm-tooltip.cm-tooltip-autocomplete > ul > li': { padding: '2px 8px' },
  '.cm-tooltip-autocomplete ul li[aria-selected]': { background: 'var(--sw-accent-soft)', color: 'var(--sw-text)' },
  '.cm-completionDetail': { color: 'var(--sw-dim)', fontStyle: 'normal' },
  '.cm-completionMatchedText': { textDecoration: 'none', color: 'var(--sw-accent)' },
  '.cm-diagnostic': { borderLeft: 'none', padding: '4px 8px' },
});

export function Editor({ language, value, schema, error, onChange, onRun }: EditorProps) {
  const holder = useRef<HTMLDivElement>(null);
  const view = useRef<EditorView | undefined>(undefined);
  const latest = useRef({ schema, onChange, onRun });
  latest.current = { schema, onChange, onRun };

  useEffect(() => {
    // What was typed is what is meant: suggestions, also those on their way, would lie over the answer.
    const run = (editor: EditorView) => (closeCompletion(editor), latest.current.onRun(), true);
    const editor = new EditorView({
      parent: holder.current!,
      state: EditorState.create({
        doc: value,
        extensions: [
          Prec.highest(keymap.of([{ key: 'Mod-Enter', run }])),
          history(),
          closeBrackets(),
          bracketMatching(),
          SUPPORT[language],
          autocompletion({ override: [(context) => complete(context, COMPLETERS[language], latest.current.schema)], icons: false, maxRenderedOptions: 200 }),
          keymap.of([...closeBracketsKeymap, ...completionKeymap, ...historyKeymap, ...defaultKeymap]),
          EditorView.lineWrapping,
          EditorView.contentAttributes.of({ 'aria-label': `${LANGUAGE_NAMES[language]} query` }),
          placeholder(TEXTS[language].placeholder),
          EditorView.updateListener.of((update) => {
            if (update.docChanged) latest.current.onChange(update.state.doc.toString());
          }),
          look,
        ],
      }),
    });
    view.current = editor;
    return () => editor.destroy();
    // The editor owns its text from here on; changes from outside arrive below.
  }, []);

  useEffect(() => {
    const editor = view.current;
    if (editor && editor.state.doc.toString() !== value) {
      editor.dispatch({ changes: { from: 0, to: editor.state.doc.length, insert: value } });
    }
  }, [value]);

  useEffect(() => {
    const editor = view.current;
    if (!editor) return;
    const end = editor.state.doc.length;
    const marks: Diagnostic[] = error
      ? [{ from: Math.min(error.from, end), to: Math.min(error.to, end), severity: 'error', message: error.message }]
      : [];
    editor.dispatch(setDiagnostics(editor.state, marks));
  }, [error]);

  return <div ref={holder} className={classes.editor} />;
}

async function complete(context: CompletionContext, completer: Completer, schema: Schema): Promise<CompletionResult | null> {
  const text = context.state.doc.toString();
  const place = completer(text, context.pos, schema);
  const word = text.slice(place.from, context.pos);
  if (!context.explicit && word === '' && !place.eager) return null;
  const suggestions = await place.list();
  if (context.aborted || suggestions.length === 0) return null;
  const quoted = word.startsWith('"') || word.startsWith("'");
  const closing = quoted && text[context.pos] === word[0] ? 1 : 0;
  return {
    from: quoted ? place.from + 1 : place.from,
    options: suggestions
      .filter(({ apply }) => !quoted || apply?.startsWith(word[0]!))
      .map(({ label, apply, detail, kind }) => ({
        label,
        type: kind,
        ...(detail ? { detail } : {}),
        // Inside quotes that were typed already, the whole quoted text takes their place.
        apply: (editor, _, from, to) => {
          const insert = apply ?? label;
          const start = quoted ? from - 1 : from;
          editor.dispatch({ changes: { from: start, to: to + closing, insert }, selection: { anchor: start + insert.length } });
        },
      })),
    validFor: quoted ? /^[^"']*$/ : place.word,
  };
}
