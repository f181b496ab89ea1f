/** What is wrong with a query in Flux while it is typed: the server looks at it whenever the keyboard rests. */
import { useQuery } from '@tanstack/react-query';
import { useDebouncedValue } from '@mantine/hooks';
import { fluxAnalyze } from '../data/client';
import { type ErrorMark, markAt } from './errorPosition';
import { filled, type Question } from './run';

const REST_MS = 700;
/** Any will do: nothing is read. */
const RANGE = { from: 0, to: 3_600_000 };

/** Nothing while the text changes, and nothing when the server cannot say. */
export function useAnalysis(question: Question): ErrorMark | undefined {
  const [rested] = useDebouncedValue(question.q, REST_MS);
  const sent = filled({ ...question, q: rested }, RANGE);
  const analysis = useQuery({
    queryKey: ['analysis', sent.text],
    queryFn: ({ signal }) => fluxAnalyze(sent.text, signal),
    enabled: question.language === 'flux' && rested === question.q && rested.trim() !== '',
    staleTime: Infinity,
    gcTime: 15_000,
    retry: false,
  });
  const first = analysis.data?.[0];
  if (!first || first.line === 0 || question.language !== 'flux' || rested !== question.q) return undefined;
  return { ...markAt(first, rested, sent), message: first.message };
}
