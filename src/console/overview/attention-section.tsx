import { ACTIONS, SEVERITIES, STATES, UNATTENDED_STATES } from '../../../machines/vocabulary.ts';
import { attention, attentionCount, attentionTops } from '../attention.ts';
import { ATTENTION, readFilters } from '../filters.ts';
import { counted, grouped } from '../format.ts';
import { health } from '../health.ts';
import { troubles } from '../frame/troubles.ts';
import { silencedCount, snoozedCount, sumOf } from '../incidents/saved-views.ts';
import { isOld } from '../live-entries.ts';
import { useLiveResource } from '../live-resource.ts';
import { allAlarms, areAlarmsKnown, inForce, openAlarms, rewrittenPasts } from '../of-fleet/live-fleet.ts';
import { Since } from '../parts/age.tsx';
import { ContainmentMark, SeverityMark, SeverityShape } from '../parts/marks.tsx';
import { AsOf } from '../parts/time.tsx';
import { Verbatim, VerbatimLine } from '../parts/verbatim.tsx';
import { keyOfRecovery, recoveries } from '../recoveries.ts';
import { fragmentOf, listOf } from '../route.ts';
import { isFleet } from '../service.ts';
import { statistics } from '../statistics.ts';
import type { JSX } from 'preact';

const ATTENDED_STATES = STATES.filter((state) => !UNATTENDED_STATES.includes(state));
const MOST_LINES = 5;

/** What waits for somebody: how much, how bad, how old, and the worst of it. */
export const AttentionSection = () => {
  const counts = useLiveResource(statistics);
  const silenced = sumOf(useLiveResource(silencedCount)) ?? 0;
  const snoozed = sumOf(useLiveResource(snoozedCount)) ?? 0;
  const rows = attention.shown.value.rows.value;
  const oldest = rows.reduce<string | undefined>(
    (at, { created_at: other }) => (at === undefined || other < at ? other : at),
    undefined,
  );
  const lines = useLines();
  const isUnread = (useLiveResource(inForce) === undefined && isFleet) || !areAlarmsKnown.value;
  const isRefused = [inForce, openAlarms, rewrittenPasts].some(({ fault }) => fault.value !== undefined);
  const more = lines.length - MOST_LINES;
  const list = fragmentOf({ view: 'incidents', query: ATTENTION });
  return (
    <section class="card attn" aria-labelledby="attention">
      <div class="counts">
        <h2 id="attention">Needs attention</h2>
        <p>
          <a class="figure" href={list}>
            {attentionCount.value === undefined ? '–' : grouped(attentionTops.value.length)}
          </a>{' '}
          <span class="muted">
            {attentionTops.value.length === 1 ? 'row' : 'rows'}, {counted(rows.length, 'incident')}
          </span>
        </p>
        <p class="severities">
          {SEVERITIES.map((severity) => (
            <a
              key={severity}
              href={listOf({ ...readFilters(ATTENTION), severities: [severity] })}
              class={`mark ${severity}`}
              title={severity}
            >
              <SeverityShape severity={severity} />
              <span class="unseen">{severity}</span>
              {grouped(rows.filter((row) => row.severity === severity).length)}
            </a>
          ))}
        </p>
        <p class="small muted">
          {oldest !== undefined && (
            <>
              oldest <Since at={oldest} />
              {' · '}
            </>
          )}
          {grouped(silenced)} silenced, {grouped(snoozed)} snoozed
        </p>
        {counts !== undefined && (
          <p class="small muted">
            {counted(counts.open_incidents, 'incident')} {UNATTENDED_STATES.join(' or ')}
            {ATTENDED_STATES.map((state) => `, ${grouped(counts.by_state[state])} ${state}`)} ·{' '}
            <AsOf time={statistics.readAt.value} />
          </p>
        )}
      </div>
      {lines.length === 0 ? (
        <p class="empty muted">
          {isOld.value
            ? 'What needs attention now is not known.'
            : isUnread
              ? isRefused
                ? 'What is wrong on machines is not known.'
                : 'Reading…'
              : 'Nothing is overdue, silent or waiting.'}
        </p>
      ) : (
        <ul>
          {lines.slice(0, MOST_LINES).map(({ key, mark, text, age, href, to }) => (
            <li key={key}>
              {mark}
              <span class="cut">{text}</span>
              <span class="small muted">{age}</span>
              <a href={href}>{to}</a>
            </li>
          ))}
          {more > 0 && (
            <li class="rest">
              <a class="small" href={list}>
                and {counted(more, 'other')}
              </a>
            </li>
          )}
        </ul>
      )}
    </section>
  );
};

interface AttentionLine {
  readonly key: string;
  readonly mark: JSX.Element;
  readonly text: JSX.Element;
  readonly age: JSX.Element | string;
  readonly href: string;
  readonly to: string;
}

/** The worst first: what is not carried out, critical incidents of nobody, silent guards, recoveries that wait. */
const useLines = (): readonly AttentionLine[] => {
  const pending = useLiveResource(recoveries)?.pending_recoveries ?? [];
  const containment = troubles.value
    .filter(({ view, isWarning }) => view === 'posture' && isWarning === undefined)
    .map(({ look, title, since, name, cause }): AttentionLine => ({
      key: `posture ${name}`,
      mark: (
        <ContainmentMark look={look}>
          {MARK_WORDS[look] ?? title} {since !== undefined && <Since at={since} />}
        </ContainmentMark>
      ),
      text: (
        <>
          <code>{name}</code>
          {cause !== undefined && (
            <>
              : <Verbatim text={cause} longest={160} />
            </>
          )}
        </>
      ),
      age: '',
      href: fragmentOf({ view: 'posture', query: '' }),
      to: 'Posture',
    }));
  const untaken = attentionTops.value
    .filter(
      (top) => top.severity === 'critical' && ('rows' in top ? top.assignees.length === 0 : top.assignee === undefined),
    )
    .filter(({ state }) => UNATTENDED_STATES.includes(state))
    .map((top): AttentionLine => {
      const row = 'rows' in top ? top.rows[0]! : top;
      const count = 'rows' in top ? top.rows.length : 1;
      return {
        key: row.id,
        mark: <SeverityMark severity={top.severity} />,
        text: (
          <>
            Nobody has taken {count > 1 ? 'them' : 'it'}: {count > 1 && <span class="times">×{grouped(count)}</span>}{' '}
            <VerbatimLine text={row.description} />
            {isFleet && (
              <span class="muted"> on {machinesIn('rows' in top ? top.machines : [row.machine ?? []].flat())}</span>
            )}
          </>
        ),
        age: <Since at={row.created_at} />,
        href: fragmentOf({ view: 'incidents', id: row.id, query: ATTENTION }),
        to: 'Open',
      };
    });
  const guards = (health.value?.guards ?? [])
    .filter(({ status }) => status === 'silent')
    .map(({ source, silent_since: since }): AttentionLine => ({
      key: `guard ${source}`,
      mark: <ContainmentMark look="unknown">Silent {since !== undefined && <Since at={since} />}</ContainmentMark>,
      text: (
        <>
          Guard <b>{source}</b>
        </>
      ),
      age: '',
      href: fragmentOf({ view: 'audit', query: 'event=guard&q=' + encodeURIComponent(source) }),
      to: 'Audit',
    }));
  const waits = pending.toSorted((one, other) => (one.required_after < other.required_after ? -1 : 1))[0];
  const recovery: readonly AttentionLine[] =
    waits === undefined
      ? []
      : [
          {
            key: 'recovery',
            mark: <ContainmentMark look="asked">Recovery waits</ContainmentMark>,
            text: <>{recoveryWords(pending)}</>,
            age: (
              <>
                oldest <Since at={waits.required_after} />
              </>
            ),
            href: fragmentOf({ view: 'incidents', id: keyOfRecovery(waits), query: ATTENTION }),
            to: 'Open',
          },
        ];
  return [...containment, ...useLinesOfFleet(), ...untaken, ...guards, ...recovery];
};

/** What is wrong on machines of the fleet: rewritten pasts, what is not carried out in time, silence. Nothing at a recorder. */
const useLinesOfFleet = (): readonly AttentionLine[] => {
  const actions = useLiveResource(inForce);
  const ofKind = (kind: string, look: 'overdue' | 'unknown', word: string): readonly AttentionLine[] => {
    const alarms = allAlarms.value.filter((alarm) => alarm.kind === kind);
    const oldest = alarms.map(({ opened_at: at }) => at).toSorted()[0];
    if (oldest === undefined) return [];
    return [
      {
        key: kind,
        mark: <ContainmentMark look={look}>{word}</ContainmentMark>,
        text: <VerbatimLine text={machinesIn(alarms.map(({ machine }) => machine))} />,
        age: <Since at={oldest} />,
        href: fragmentOf({ view: 'machines', query: '' }),
        to: 'Machines',
      },
    ];
  };
  const overdue = ACTIONS.flatMap((action): readonly AttentionLine[] => {
    const machines = actions?.[action].overdue.machines ?? 0;
    if (machines === 0) return [];
    return [
      {
        key: `overdue ${action}`,
        mark: <ContainmentMark look="overdue">Overdue</ContainmentMark>,
        text: (
          <>
            <code>{action}</code> on {counted(machines, 'machine')}
          </>
        ),
        age: '',
        href: fragmentOf({ view: 'posture', query: '' }),
        to: 'In force',
      },
    ];
  });
  return [
    ...ofKind('log_diverged', 'overdue', 'Past rewritten'),
    ...overdue,
    ...ofKind('machine_silent', 'unknown', 'Silent'),
  ];
};

/** `berlin-1`, or how many. */
const machinesIn = (names: readonly string[]): string =>
  names.length === 1 ? names[0]! : counted(names.length, 'machine');

const MARK_WORDS: Readonly<Record<string, string>> = {
  overdue: 'Overdue',
  person: 'Needs a person',
  unknown: 'Not known',
};

const recoveryWords = (
  pending: readonly {
    readonly require_ack: boolean;
    readonly acked_at?: string;
    readonly require_reattest: boolean;
    readonly re_attested_at?: string;
  }[],
): string => {
  const people = pending.filter((one) => one.require_ack && one.acked_at === undefined).length;
  const proofs = pending.filter((one) => one.require_reattest && one.re_attested_at === undefined).length;
  return [
    ...(people > 0 ? [`${counted(people, 'incident')} ${people === 1 ? 'needs' : 'need'} a second person`] : []),
    ...(proofs > 0 ? [`${grouped(proofs)} an attestation`] : []),
  ].join(', ');
};
