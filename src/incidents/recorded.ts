import type { Caller } from '../domain/caller.ts';
import type { IncidentDocument } from '../domain/document.ts';
import type { RequestTag } from '../domain/entries.ts';

/** How a report came. */
export interface Origin {
  readonly request: RequestTag | undefined;
  /** Names the values in which it repeats others. */
  readonly repeat?: string | undefined;
  readonly caller: Caller | undefined;
  /** Whose its keys are: see `keysOwner`. */
  readonly owner: string;
}

export interface Recorded {
  readonly incident: IncidentDocument;
  /**
   * What the request did: `created` an incident, added an occurrence to one (`recurred`), was a report sent again
   * (`replayed`), `moved` the incident to another state, or left it `unchanged` because it was there already.
   */
  readonly change: 'created' | 'recurred' | 'replayed' | 'moved' | 'unchanged';
}
