/** A command line to take along: a click, or Enter, puts it into the clipboard and says so. */
import { Icon } from './Icon';
import classes from './ui.module.css';
import { useCopy } from './useCopy';

export function Command({ text }: { text: string }) {
  const [state, copy] = useCopy();
  return (
    <span className={classes.command}>
      <code>{text}</code>
      <button type="button" onClick={() => copy(text)} aria-label={`Copy: ${text}`} title="Copy">
        <Icon name={state === 'copied' ? 'check' : 'copy'} size={14} />
        <span role="status">{state === 'copied' ? 'Copied' : state === 'failed' ? 'Select and copy it' : ''}</span>
      </button>
    </span>
  );
}
