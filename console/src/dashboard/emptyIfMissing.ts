/** For queries of a database that may not exist yet: it has nothing, which is no failure. */
import { isMissingDatabase } from '../data/client';

export function emptyIfMissing<T>(empty: T): (error: unknown) => T {
  return (error) => {
    if (isMissingDatabase(error)) return empty;
    throw error;
  };
}
