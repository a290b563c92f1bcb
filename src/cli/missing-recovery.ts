/** What an incident's recovery still needs, and which commands do it. */
import type { NextTransition } from '../../machines/transitions.ts';
import { RECOVERY_STEPS, type RecoveryStep } from '../../machines/vocabulary.ts';
import { RECOVERY_ACTS, type RecoveryAct, WAIVER, whoMay } from '../domain/recovery-steps.ts';
import type { Incident } from '../client/shapes.ts';
import { styled, TROUBLE_STYLE } from './terminal/colour.ts';
import { printable } from './terminal/printable.ts';

type IncidentRecovery = NonNullable<Incident['recovery']>;
type RecoveryStamp = NonNullable<IncidentRecovery['acknowledged']>;

/** The steps that keep an incident from being resolved; none when nothing does, or something else. */
export const missingIn = (transitions: readonly NextTransition[]): readonly RecoveryStep[] =>
  stepsIn(transitions.find(({ event }) => event === 'resolve')?.missing);

/** The steps in a list of anything, such as that of a refusal. */
export const stepsIn = (list: unknown): readonly RecoveryStep[] =>
  Array.isArray(list) ? RECOVERY_STEPS.filter((step) => list.includes(step)) : [];

export const commandOf = ({ name }: RecoveryAct, id: string): string =>
  `incident-recorder recovery ${name} ${id}${name === 'waive' ? ' --reason <text>' : ''}`;

/** Each missing step with its command and who may give it, and the way out. */
export const adviceLines = (missing: readonly RecoveryStep[], id: string): readonly string[] =>
  missing.length === 0
    ? []
    : [...missing.flatMap((step) => actLines(RECOVERY_ACTS[step].needs, RECOVERY_ACTS[step], id)), ...waiverLines(id)];

const waiverLines = (id: string): readonly string[] => actLines('or it is waived', WAIVER, id);

const actLines = (what: string, act: RecoveryAct, id: string): readonly string[] => [
  what,
  `  ${printable(commandOf(act, id))}  (${whoMay(act)})`,
];

/** The recovery of an incident: what is done and by whom, what is missing and how it is done. */
export function recoveryLines(recovery: IncidentRecovery | undefined, id: string): readonly string[] {
  if (recovery === undefined) return [];
  const { required, missing, acknowledged, attested, attestation, failed, waived, voided } = recovery;
  const stamps = { acknowledge: acknowledged, attest: attested };
  return [
    ...required.flatMap((step) => {
      if (missing.includes(step)) {
        const [what = '', command = ''] = actLines(RECOVERY_ACTS[step].needs, RECOVERY_ACTS[step], id);
        return [`○ ${styled(TROUBLE_STYLE, step.padEnd(13))} missing: ${what}`, `  ${command}`];
      }
      const stamp = stamps[step];
      return [`● ${step.padEnd(13)} ${stamp === undefined ? 'not needed any more' : stampOf(stamp)}`];
    }),
    ...(attestation === undefined ? [] : [`  the attestor is asked since ${attestation.at}`]),
    ...(failed === undefined ? [] : failureLines(failed)),
    ...(voided === undefined ? [] : [`  void since ${voided.at}: ${printable(voided.reason)}`]),
    ...(waived === undefined ? [] : [`● waived        ${stampOf(waived)}: ${printable(waived.reason)}`]),
    ...(missing.length === 0 ? [] : waiverLines(id)),
  ];
}

/** Why the latest attestation failed. Strangers are not told what was wrong. */
function failureLines({
  at,
  faults = [],
  last_error: error,
}: NonNullable<IncidentRecovery['failed']>): readonly string[] {
  const wrong = error === undefined ? faults : [...faults, error];
  if (wrong.length === 0) return [`  the attestation of ${at} failed; with a token it is said why`];
  return [`  the attestation of ${at} failed:`, ...wrong.map((fault) => `    ${printable(fault)}`)];
}

const stampOf = ({ at, by, claimed, on_behalf_of: other }: RecoveryStamp): string => {
  const who = by === undefined ? '' : ` by ${printable(by)}${claimed === true ? ' (claimed)' : ''}`;
  return `${at}${who}${other === undefined ? '' : ` for ${printable(other)}`}`;
};
