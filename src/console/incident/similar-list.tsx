import type { Incident } from '../../domain/incident.ts';
import { duration, spelled } from '../format.ts';
import { keyOfIncident } from '../incident-key.ts';
import { Moment } from '../parts/time.tsx';
import { StateMark } from '../parts/marks.tsx';
import { Verbatim, VerbatimLine } from '../parts/verbatim.tsx';
import { fragmentOf } from '../route.ts';
import type { SimilarIncident } from './similar.ts';

const MOST_SHOWN = 5;
const MOST_PATHS = 3;

/** The incidents with the same values, and how they ended. Empty when there are none, or nobody knows of any. */
export const SimilarList = ({ similar }: { readonly similar: readonly SimilarIncident[] | undefined }) => {
  if (similar === undefined || similar.length === 0) return null;
  return (
    <section aria-label="Similar">
      <header>
        <h3>Similar</h3>
        <span class="small muted">same evidence, {similar.length}</span>
      </header>
      <ul class="similar">
        {similar.slice(0, MOST_SHOWN).map(({ incident, same }) => (
          <li key={keyOfIncident(incident.id, incident.machine)}>
            <StateMark state={incident.state} />
            <a href={fragmentOf({ view: 'incidents', id: keyOfIncident(incident.id, incident.machine), query: '' })}>
              <VerbatimLine text={incident.description} />
            </a>
            <span class="small muted">
              <Moment at={incident.created_at} />
              {incident.machine !== undefined && ` on ${incident.machine}`}
            </span>
            <p class="small muted">
              same{' '}
              {same.slice(0, MOST_PATHS).map(({ path }, index) => (
                <span key={path}>
                  {index > 0 && ', '}
                  <Verbatim text={path} longest={60} />
                </span>
              ))}
              {same.length > MOST_PATHS && ` and ${same.length - MOST_PATHS} more`}
              <Ended incident={incident} />
            </p>
          </li>
        ))}
      </ul>
      {similar.length > MOST_SHOWN && (
        <p class="small muted">and {similar.length - MOST_SHOWN} more: choose a value in the evidence</p>
      )}
    </section>
  );
};

const Ended = ({ incident }: { readonly incident: Incident }) => {
  const { resolution, resolved_at: at, resolved_by: by, created_at: began } = incident;
  if (at === undefined) return null;
  return (
    <>
      {' · '}
      {resolution === undefined ? 'resolved' : spelled(resolution).toLowerCase()}
      {by !== undefined && (
        <>
          {' by '}
          <Verbatim text={by} longest={80} />
        </>
      )}
      , after {duration(Date.parse(at) - Date.parse(began))}
    </>
  );
};
