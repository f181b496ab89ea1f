import type { Panel } from '../dashboard/model';
import type { Frame } from '../data/frame';
import type { TimeRange } from '../time/range';

/** What every kind of panel gets: its definition, its data, its room. */
export interface PanelProps {
  panel: Panel;
  frames: readonly Frame[];
  width: number;
  height: number;
  /** The panel's own range, if not the page's. */
  range?: TimeRange | undefined;
  /** Fills the page's variables into a text. */
  fill?: ((text: string) => string) | undefined;
  /** Charts of a page share a crosshair by this name. */
  syncKey: string;
}
