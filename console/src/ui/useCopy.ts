/** Puts a text into the clipboard, and says for a moment that it did. */
import { useEffect, useState } from 'react';

const SAID_MS = 1_600;

export type Copied = 'idle' | 'copied' | 'failed';

export function useCopy(): [Copied, (text: string) => void] {
  const [state, setState] = useState<Copied>('idle');
  useEffect(() => {
    if (state === 'idle') return;
    const timer = setTimeout(() => setState('idle'), SAID_MS);
    return () => clearTimeout(timer);
  }, [state]);
  return [state, (text) => void copyText(text).then((done) => setState(done ? 'copied' : 'failed'))];
}

/** Whether it is there now. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return copySelected(text);
  }
}

/** Over plain HTTP from elsewhere than this machine browsers give pages no clipboard, but copy what is selected. */
function copySelected(text: string): boolean {
  const area = document.createElement('textarea');
  const focused = document.activeElement;
  area.value = text;
  area.readOnly = true;
  area.style.position = 'fixed';
  area.style.opacity = '0';
  document.body.append(area);
  area.select();
  const done = document.execCommand('copy');
  area.remove();
  if (focused instanceof HTMLElement) focused.focus();
  return done;
}
