/** What a row and a page say of a machine. */
import type { JSX } from 'preact';
import { counted, duration, grouped } from '../format.ts';
import { AgoOrTime } from '../parts/age.tsx';
import { ContainmentMark } from '../parts/marks.tsx';
import { fragmentOf } from '../route.ts';
import type { FleetMachine, MachineAction } from './live-fleet.ts';

export const LabelsOf = ({ labels }: Pick<FleetMachine, 'labels'>) => (
  <p class="small muted">
    {Object.entries(labels)
      .map(([name, value]) => `${name}=${value}`)
      .join(' · ')}
  </p>
);

/** When the fleet heard of the machine last. Silence is drawn as what is not known. */
export const Heard = ({ one }: { readonly one: FleetMachine }): JSX.Element => {
  const { heard_at: at, silent, revoked_at: revoked, version, clock_skewed: isSkewed, clock_skew_ms: skew } = one;
  return (
    <>
      {revoked !== null && <ContainmentMark look="released">Revoked</ContainmentMark>}
      {revoked === null && at === null && <ContainmentMark look="unknown">Never heard</ContainmentMark>}
      {revoked === null && at !== null && silent && (
        <ContainmentMark look="unknown">
          Silent, heard <AgoOrTime at={at} />
        </ContainmentMark>
      )}
      {revoked === null && at !== null && !silent && (
        <ContainmentMark look="done">
          <AgoOrTime at={at} />
        </ContainmentMark>
      )}
      {version !== null && <p class="small muted">version {version}</p>}
      {isSkewed && skew !== null && (
        <p class="small error">
          its clock is {duration(Math.abs(skew))} {skew > 0 ? 'ahead' : 'behind'}
        </p>
      )}
    </>
  );
};

/** How far the fleet has the log, whether it checks the hashes, and how old the last anchor is. */
export const LogOf = ({ one }: { readonly one: FleetMachine }): JSX.Element => {
  const { held, behind, hashes, anchored, diverged } = one;
  return (
    <>
      {diverged !== null && (
        <ContainmentMark look="overdue">
          Past rewritten{diverged.at_seq !== null && ` at entry ${grouped(diverged.at_seq)}`}
        </ContainmentMark>
      )}
      <p>
        {behind === null || behind === 0
          ? held === 1
            ? 'its one entry'
            : `all ${grouped(held)} entries`
          : `${counted(behind, 'entry', 'entries')} behind`}
      </p>
      <p class="small muted">
        hashes {hashes} ·{' '}
        {anchored === null ? (
          'not anchored'
        ) : (
          <>
            anchored <AgoOrTime at={anchored.at} />
          </>
        )}
      </p>
    </>
  );
};

export const PolicyOf = ({ one: { policy } }: { readonly one: FleetMachine }): JSX.Element =>
  policy.digest === null ? (
    <ContainmentMark look="unknown">Not known</ContainmentMark>
  ) : (
    <>
      <code title={policy.digest}>{policy.digest.slice(0, 8)}</code>
      {policy.differs && <p class="strong">differs from the rest</p>}
    </>
  );

/** How the actions of a machine may stand, the worst first. */
const STANDINGS = [
  ['overdue', 'Overdue', ({ overdue }: MachineAction) => overdue > 0],
  ['unknown', 'Not confirmed', ({ unconfirmed }: MachineAction) => unconfirmed > 0],
  ['done', 'In force', ({ in_force: isInForce }: MachineAction) => isInForce],
] as const;

/** What is in force on the machine: a line for each way in which its actions stand, the worst first. */
export const PostureOf = ({ one: { posture, machine } }: { readonly one: FleetMachine }): JSX.Element => {
  const groups = Map.groupBy(posture, (action) => STANDINGS.find(([, , is]) => is(action)));
  const said = STANDINGS.filter((standing) => groups.has(standing));
  if (said.length === 0) return <span class="muted">nothing</span>;
  return (
    <a class="posture-of" href={fragmentOf({ view: 'posture', id: machine, query: '' })}>
      {said.map((standing) => (
        <ContainmentMark key={standing[0]} look={standing[0]}>
          {standing[1]}:{' '}
          <code>
            {groups
              .get(standing)!
              .map(({ action }) => action)
              .join(', ')}
          </code>
        </ContainmentMark>
      ))}
    </a>
  );
};
