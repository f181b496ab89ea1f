/** Remembers light, dark or "as the system has it" under the key that public/scheme.js reads before the first paint. */
import { localStorageColorSchemeManager, useComputedColorScheme } from '@mantine/core';
import type { Scheme } from './colors';

export const schemeManager = localStorageColorSchemeManager({ key: 'skywatch.scheme' });

export function useScheme(): Scheme {
  return useComputedColorScheme('light', { getInitialValueInEffect: false });
}
