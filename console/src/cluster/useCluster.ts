/** The cluster as its nodes tell it, asked again and again; null on a single server. */
import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { fetchCluster } from '../data/api';
import { ApiError } from '../data/client';

export function useCluster(refetchMs: number) {
  return useQuery({
    queryKey: ['cluster'],
    queryFn: ({ signal }) => fetchCluster(signal),
    // Neither a single server nor what a user may not see changes while one looks.
    refetchInterval: ({ state: { data, error } }) => (data === null || (error instanceof ApiError && error.status === 403) ? false : refetchMs),
    placeholderData: keepPreviousData,
    retry: false,
  });
}
