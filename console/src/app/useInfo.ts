/** Version, default database and whether the store answers: asked once in a while by whoever needs it. */
import { useQuery } from '@tanstack/react-query';
import { fetchInfo } from '../data/api';

const HEALTHY_MS = 15_000;
const FAILING_MS = 3_000;

export function useInfo() {
  return useQuery({
    queryKey: ['info'],
    queryFn: ({ signal }) => fetchInfo(signal),
    staleTime: HEALTHY_MS,
    refetchInterval: ({ state }) => (state.data && !state.data.store_error && !state.error ? HEALTHY_MS : FAILING_MS),
    retry: false,
  });
}
