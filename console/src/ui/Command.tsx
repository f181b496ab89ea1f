/** A command line to take along: a click, or Enter, puts it into the clipboard and says so. */
import { useEffect, useState } from 'react';
import { Icon } from './Icon';
import classes from './ui.module.css';

const SAID_MS = 1_600;

export function Command({ text }: { text: string }) {
  const [state, setState] = useState<'idle' | 'copied' | 'failed'>('idle');
  useEffect(() => {
    if (state === 'idle') return;
    const timer = setTimeout(() => setState('idle'), SAID_MS);
    return () => clearTimeout(timer);
  }, [state]);
  // Over plain HTTP from elsewhere than this machine, browsers have no clipboard: then the text can still be selected.
  const copy = () => {
    const writing = navigator.clipboard?.writeText(text) ?? Promise.reject(new Error('no clipboard'));
    writing.then(() => setState('copied'), () => setState('failed'));
  };
  return (
    <span className={classes.command}>
      <code>{text}</code>
      <button type="button" onClick={copy} aria-label={`Copy: ${text}`} title="Copy">
        <Icon name={state === 'copied' ? 'check' : 'copy'} size={14} />
        <span role="status">{state === 'copied' ? 'Copied' : state === 'failed' ? 'Select and copy it' : ''}</span>
      </button>
    </span>
  );
}
