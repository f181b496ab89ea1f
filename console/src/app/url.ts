/** State in the URL's query: what is there survives a reload and can be sent to somebody. */
import { useCallback, useMemo, useRef } from 'react';
import { useLocation, useSearch } from 'wouter';

/** `undefined` and empty lists take a parameter away. */
export type ParamChanges = Record<string, string | readonly string[] | undefined>;

type SetParams = (changes: ParamChanges, options?: { replace?: boolean }) => void;

export function useUrlParams(): [URLSearchParams, SetParams] {
  const search = useSearch();
  const [path, navigate] = useLocation();
  const params = useMemo(() => new URLSearchParams(search), [search]);
  // Two changes in one event must both end up in the URL, hence the live location rather than the rendered one.
  const currentPath = useRef(path);
  currentPath.current = path;
  const set = useCallback<SetParams>(
    (changes, options) => {
      const next = new URLSearchParams(window.location.search);
      for (const [key, value] of Object.entries(changes)) {
        next.delete(key);
        if (value === undefined) continue;
        for (const item of typeof value === 'string' ? [value] : value) next.append(key, item);
      }
      const query = next.toString();
      navigate(currentPath.current + (query ? `?${query}` : ''), { replace: options?.replace ?? false });
    },
    [navigate],
  );
  return [params, set];
}

/** The parameters that follow a person from page to page. */
const CARRIED = ['from', 'to', 'refresh'];

export function carried(search: string): string {
  const params = new URLSearchParams(search);
  const kept = new URLSearchParams(CARRIED.flatMap((key) => (params.has(key) ? [[key, params.get(key)!]] : [])));
  const query = kept.toString();
  return query ? `?${query}` : '';
}
