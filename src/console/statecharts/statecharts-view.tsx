import type { DeliveryStatus } from '../../../machines/delivery.ts';
import { ACTIONS, STATES, type State } from '../../../machines/vocabulary.ts';
import { posture } from '../posture/live-posture.ts';
import { readFilters } from '../filters.ts';
import { useLiveResource } from '../live-resource.ts';
import { LastKnown } from '../parts/last-known.tsx';
import { listOf } from '../route.ts';
import { statistics } from '../statistics.ts';
import { counted } from '../format.ts';
import { Chart } from './chart.tsx';
import { addressOfChart } from './drawing.ts';
import { contained, countIn } from './inner-states.ts';

const FORMATS = ['json', 'svg', 'mermaid', 'scxml', 'dot'] as const;

/** Both machines, with the number in each state now. A state of the incident links to its list. */
export const StatechartsView = () => {
  const counts = useLiveResource(statistics);
  const known = useLiveResource(posture);
  const groups = useLiveResource(contained);
  const isState = (name: string): name is State => (STATES as readonly string[]).includes(name);
  const deliveries = (status: string): number | undefined =>
    known && ACTIONS.reduce((sum, action) => sum + (known[action].delivery?.counts[status as DeliveryStatus] ?? 0), 0);
  return (
    <div class="page statecharts">
      <h1>Statecharts</h1>
      <LastKnown of={statistics} />
      <LastKnown of={posture} />
      <div class="machines">
        <section aria-labelledby="incident-machine">
          <h2 id="incident-machine">Incident</h2>
          <p class="hint">
            {counts !== undefined && `${counted(counts.total_incidents, 'incident')} on record. `}A state leads to the
            incidents that are in it. Point at a label to trace its lines.
          </p>
          <Chart
            machine="incident"
            label="Statechart of an incident, with how many are in each state"
            countOf={(name) => (isState(name) ? counts?.by_state[name] : countIn(groups, name))}
            linkOf={(name) => (isState(name) ? listOf({ ...readFilters(''), states: [name] }) : undefined)}
          />
          <Downloads machine="incident" />
        </section>
        <section aria-labelledby="delivery-machine">
          <h2 id="delivery-machine">Delivery</h2>
          <p class="hint">One containment action of one incident, on its way to the service that carries it out.</p>
          <Chart
            machine="delivery"
            label="Statechart of a delivery, with how many are in each state"
            countOf={(name) => (known === undefined ? undefined : deliveries(name) || undefined)}
          />
          <Downloads machine="delivery" />
        </section>
      </div>
    </div>
  );
};

/** Links to the chart in other formats. The JSON can be pasted into the editor of Stately Studio. */
const Downloads = ({ machine }: { readonly machine: string }) => (
  <p class="downloads">
    {FORMATS.map((format) => (
      <a key={format} href={addressOfChart(machine, format)} target="_blank" rel="noreferrer">
        {format}
      </a>
    ))}
  </p>
);
