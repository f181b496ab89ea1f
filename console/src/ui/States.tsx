/** Empty, failed and loading: what happened, and what to do about it. */
import { Button, Loader } from '@mantine/core';
import type { ReactNode } from 'react';
import { Icon, type IconName } from './Icon';
import classes from './ui.module.css';

export function Message({ icon, title, children, compact = false }: {
  icon: IconName; title: string; children?: ReactNode; compact?: boolean;
}) { // prettier-ignore
  return (
    <div className={`${classes.message} ${compact ? classes.compact : ''}`}>
      <Icon name={icon} size={compact ? 18 : 26} className={classes.messageIcon} />
      <strong>{title}</strong>
      {children && <div className={classes.messageText}>{children}</div>}
    </div>
  );
}

export function Failure({ error, onRetry, compact = false }: { error: unknown; onRetry?: () => void; compact?: boolean }) {
  return (
    <Message icon="alert" title="This did not work" compact={compact}>
      <p className={classes.errorText}>{errorText(error)}</p>
      {onRetry && <Button onClick={onRetry}>Try again</Button>}
    </Message>
  );
}

export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

export function Loading({ label = 'Loading' }: { label?: string }) {
  return (
    <div className={classes.loading} role="status" aria-label={label}>
      <Loader size="sm" type="dots" color="gray" />
    </div>
  );
}
