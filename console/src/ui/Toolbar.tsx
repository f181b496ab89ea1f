/** The head of a page: its title and what it is steered with. */
import type { ReactNode } from 'react';
import classes from './toolbar.module.css';

/** With `sticky` it stays in sight while the page scrolls below it; `source` says where the page has what it shows from. */
export function Toolbar({ title, sticky = false, source, children }: {
  title: string; sticky?: boolean; source?: ReactNode; children?: ReactNode;
}) { // prettier-ignore
  return (
    <div className={classes.toolbar} data-sticky={sticky || undefined}>
      <h1>{title}</h1>
      {children}
      {source && <span className={classes.source}>{source}</span>}
    </div>
  );
}
