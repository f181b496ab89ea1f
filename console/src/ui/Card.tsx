/** What pages that sum something up are made of: tiles with one figure, cards with a table. */
import type { ReactNode } from 'react';
import { Link, useSearch } from 'wouter';
import { carried } from '../app/url';
import classes from './card.module.css';
import { Icon, type IconName } from './Icon';

export type Tone = 'good' | 'warn' | 'bad' | 'off';

export interface TileProps {
  icon: IconName;
  label: string;
  /** A page, or `#part` of this one. */
  href: string;
  tone: Tone;
  value: string;
  of?: number;
  note: string;
}

export function Tile({ icon, label, href, tone, value, of, note }: TileProps) {
  const search = useSearch();
  const content = (
    <>
      <span className={classes.tileLabel}><Icon name={icon} size={15} />{label}</span>
      <span className={classes.tileValue}>
        {value}
        {of !== undefined && of > 0 && <span className={classes.tileOf}> / {of}</span>}
      </span>
      <span className={classes.tileNote} data-tone={tone}>{note}</span>
    </>
  );
  return href.startsWith('#')
    ? <a href={href} className={classes.tile}>{content}</a>
    : <Link href={href + carried(search)} className={classes.tile}>{content}</Link>;
}

/** `href` leads to where there is more; `aside` stands in its place. */
export function Card({ title, id, href, aside, children }: {
  title: string; id?: string; href?: string; aside?: ReactNode; children: ReactNode;
}) { // prettier-ignore
  const search = useSearch();
  return (
    <section className={classes.card} aria-label={title} id={id}>
      <header>
        <h2>{title}</h2>
        {href ? <Link href={href + carried(search)}>Dashboard</Link> : aside}
      </header>
      <div className={classes.scroll}>{children}</div>
    </section>
  );
}
