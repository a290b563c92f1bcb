import { signal } from '@preact/signals';
import { counted } from '../format.ts';
import { obstacleFor } from '../identity.ts';
import { isOld } from '../live-entries.ts';
import { useLiveResource } from '../live-resource.ts';
import { Dialog, DialogBody, DialogFoot } from '../parts/dialog.tsx';
import { Moment } from '../parts/time.tsx';
import { Verbatim } from '../parts/verbatim.tsx';
import { goTo, listOf } from '../route.ts';
import { NO_FILTERS } from '../filters.ts';
import { endSilence, silenceDraft } from './silence-dialog.tsx';
import { type Silence, silences } from './silences.ts';

export const silencesAreShown = signal(false);

/** Every silence on record: what it matches, until when, why, and who wanted it. */
export const SilencesDialog = () => {
  const known = useLiveResource(silences);
  const close = (): void => {
    silencesAreShown.value = false;
  };
  const isRunning = ({ state }: Silence): boolean => state === 'active' || state === 'pending';
  const running = known?.filter(isRunning) ?? [];
  const over = known?.filter((one) => !isRunning(one)) ?? [];
  return (
    <Dialog
      title="Silences"
      about="Recorded and contained as always, but not notified, and not counted."
      onClose={close}
    >
      <DialogBody>
        {known === undefined && (
          <p class="muted" role="status">
            {silences.fault.value === undefined ? 'Reading…' : `They could not be read: ${silences.fault.value}`}
          </p>
        )}
        {known !== undefined && running.length === 0 && <p class="muted">Nothing is silenced.</p>}
        <ul class="silences">
          {running.map((one) => (
            <Row key={`${one.id} ${one.machine ?? ''}`} one={one} onLeave={close} />
          ))}
        </ul>
        {over.length > 0 && (
          <details>
            <summary>{counted(over.length, 'silence')} over</summary>
            <ul class="silences">
              {over.map((one) => (
                <Row key={`${one.id} ${one.machine ?? ''}`} one={one} onLeave={close} />
              ))}
            </ul>
          </details>
        )}
      </DialogBody>
      <DialogFoot>
        <button
          type="button"
          onClick={() => {
            close();
            goTo(listOf({ ...NO_FILTERS, silenced: true }));
          }}
        >
          Show what is silenced
        </button>
        <button
          type="button"
          disabled={isOld.value || obstacleFor(['operator']) !== undefined}
          title={obstacleFor(['operator'])}
          onClick={() => {
            close();
            silenceDraft.value = {};
          }}
        >
          Add a silence…
        </button>
        <button type="button" class="primary" onClick={close}>
          Close
        </button>
      </DialogFoot>
    </Dialog>
  );
};

const Row = ({ one, onLeave }: { readonly one: Silence; readonly onLeave: () => void }) => {
  const { id, state, until, from, reason, by, matches, expires_soon } = one;
  const isRunning = state === 'active' || state === 'pending';
  return (
    <li>
      <p>
        <code>{matchersOf(one)}</code>
        {one.machine !== undefined && <span class="muted"> on {one.machine}</span>}
      </p>
      <p class="small">
        {state === 'active' && (
          <span class={expires_soon ? 'error strong' : ''}>
            {expires_soon ? 'Expires soon: ' : 'Until '}
            <Moment at={until} />
          </span>
        )}
        {state === 'pending' && (
          <>
            From <Moment at={from} /> until <Moment at={until} />
          </>
        )}
        {!isRunning && (
          <>
            {state === 'ended' ? 'Ended' : 'Expired'}, was until <Moment at={until} />
          </>
        )}
        {' · '}
        {counted(matches, 'incident')}
        {by !== undefined && (
          <>
            {' · by '}
            <Verbatim text={by} />
          </>
        )}
      </p>
      <p class="small muted">
        <Verbatim text={reason} longest={300} />
      </p>
      {isRunning && (
        <button
          type="button"
          class="sm"
          disabled={isOld.value || obstacleFor(['operator']) !== undefined}
          title={obstacleFor(['operator'])}
          onClick={() => {
            onLeave();
            void endSilence(id, undefined, one.machine);
          }}
        >
          End
        </button>
      )}
    </li>
  );
};

/** What a silence matches, as the command line takes it. */
const matchersOf = ({ class: classes, source, severity, q }: Silence): string =>
  [
    ...Object.entries({ class: classes, source, severity }).flatMap(([name, values]) =>
      values.length === 0 ? [] : [`${name}=${values.join(',')}`],
    ),
    ...(q === undefined ? [] : [`q=${q}`]),
  ].join(' ') || 'everything';
