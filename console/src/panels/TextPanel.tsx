/** The text panel: Markdown or HTML, as safe as what the console writes itself, or code as it stands. */
import { useMemo } from 'react';
import classes from './panels.module.css';
import { textHtml } from './textHtml';
import type { PanelProps } from './types';

interface Options {
  mode?: string;
  content?: unknown;
}

export function TextPanel({ panel, height, fill = (text) => text }: PanelProps) {
  const { mode = 'markdown', content } = (panel.options ?? {}) as Options;
  const text = fill(typeof content === 'string' ? content : '');
  const html = useMemo(() => (mode === 'code' ? undefined : textHtml(text, mode)), [text, mode]);
  if (html === undefined) return <div className={classes.text} style={{ maxHeight: height }}>{text}</div>;
  return <div className={classes.markdown} style={{ maxHeight: height }} dangerouslySetInnerHTML={{ __html: html }} />;
}
