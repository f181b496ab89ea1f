/** What to do with an empty page: a sentence on macros, and examples to click. */
import { type Language, LANGUAGE_NAMES } from '../data/language';
import classes from './explore.module.css';
import { TEXTS } from './texts';

export function Hints({ language, onQuery }: { language: Language; onQuery(q: string): void }) {
  const isFlux = language === 'flux';
  return (
    <div className={classes.hints}>
      <p>
        Write {LANGUAGE_NAMES[language]} and press <kbd>Ctrl</kbd> <kbd>Enter</kbd><span className={classes.beside}>, or pick a field on the left</span>.{' '}
        <code>{isFlux ? 'v.timeRangeStart' : '$timeFilter'}</code> {isFlux && <>and <code>v.timeRangeStop</code> </>}
        {isFlux ? 'stand' : 'stands'} for the range above, <code>{isFlux ? 'v.windowPeriod' : '$__interval'}</code> for buckets that suit it
        {isFlux && <>, <code>v.bucket</code> for the database</>}.
      </p>
      {TEXTS[language].examples.map((q) => <button key={q} type="button" onClick={() => onQuery(q)}><code>{q}</code></button>)}
    </div>
  );
}
