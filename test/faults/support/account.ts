/**
 * One report, and what the service has said about it.
 *
 * What was *acknowledged* must be found exactly as it was answered. What was *refused* must not be found. Of what was
 * *unanswered* (the connection broke before the answer came) either may be true, but nothing in between; looking settles
 * which, and it has to stay so.
 */
import { expect } from 'chai';
import { COMMAND_TABLE, type CommandName, COMMANDS } from '../../../machines/commands.ts';
import { CLASSES, type IncidentClass } from '../../../machines/vocabulary.ts';
import { BUILT_IN_RULES } from '../../../src/policy/defaults.ts';
import type { Incident } from '../../../src/domain/incident.ts';
import { targetOf } from '../../machines/support/edges.ts';
import type { Answer, RunningService } from '../../support/running-service.ts';

export type Outcome = 'acknowledged' | 'refused' | 'unanswered';

/** What a command may change of an incident. */
const MOVING: ReadonlySet<string> = new Set([
  'state',
  'updated_at',
  'version',
  'hash',
  'note',
  'notes',
  'notes_count',
  'containment_actions',
  'containment',
  'containment_results',
  ...COMMANDS.flatMap((command) => ['at', 'by', 'by_claimed'].map((part) => `${COMMAND_TABLE[command].done}_${part}`)),
]);

export class Account {
  readonly report: {
    readonly class: IncidentClass;
    readonly source: string;
    readonly description: string;
    readonly evidence: object;
  };
  readonly #number: number;
  #standing: Outcome = 'unanswered';
  /** What it was last known to be, as JSON. */
  #known: string | undefined;
  #unanswered: CommandName | undefined;

  constructor(number: number, evidenceBytes: number) {
    this.#number = number;
    this.report = {
      class: CLASSES[number % CLASSES.length]!,
      source: `reporter-${number % 8}`,
      description: `report ${number}`,
      evidence: {
        score: 1 / (number + 1),
        tools: ['shell', 'ünïcödé \u{1f512}'],
        filler: 'x'.repeat((number * 7919) % evidenceBytes),
        // Without a model to quarantine, the quarantine needs a person.
        ...(Math.floor(number / CLASSES.length) % 2 === 1 ? { model_name: `model ${number}` } : {}),
      },
    };
  }

  get standing(): Outcome {
    return this.#standing;
  }

  get incident(): Incident | undefined {
    return this.#known === undefined ? undefined : (JSON.parse(this.#known) as Incident);
  }

  /** Sends the report, for the first time or again. */
  async send(service: RunningService): Promise<Outcome> {
    const headers = { 'idempotency-key': this.#key };
    return this.#take(await answerOf(service.report(this.report, headers)));
  }

  /** Sends the reports of accounts as one batch, for the first time or again. It is taken or refused as a whole. */
  static async sendTogether(service: RunningService, accounts: readonly Account[]): Promise<Outcome> {
    const reports = accounts.map((account) => ({ ...account.report, idempotency_key: account.#key }));
    const answer = await answerOf(service.post('/api/v1/incidents/reports', reports));
    const items =
      answer.text === '' ? [] : (JSON.parse(answer.text) as readonly { status: number; incident: object }[]);
    for (const [at, account] of accounts.entries()) {
      const item = items[at];
      if (item !== undefined) expect(item.status, JSON.stringify(item)).to.be.oneOf([200, 201]);
      account.#take({ ...answer, text: JSON.stringify(item?.incident) });
    }
    return answer.outcome;
  }

  get #key(): string {
    return `key-${this.#number}`;
  }

  #take({ outcome, text }: { readonly outcome: Outcome; readonly text: string }): Outcome {
    if (outcome === 'acknowledged') {
      if (this.#known !== undefined) expect(text, 'the answer to a report sent again').to.equal(this.#known);
      this.#known = text;
    }
    if (this.#standing !== 'acknowledged') this.#standing = outcome;
    return outcome;
  }

  /** Takes the incident a step further, if there is one; by which command depends on the report's number. */
  async advance(service: RunningService): Promise<Outcome | undefined> {
    const { id, state, version } = this.incident!;
    const possible = COMMANDS.filter((command) => targetOf(state, command) !== undefined);
    const command = possible[(this.#number + version) % possible.length];
    if (command === undefined) return undefined;
    const body = { id, by: `operator ${this.#number}`, note: `${command} ${this.#number}` };
    const answer = await answerOf(service.post(`/api/v1/incidents/${command}`, body));
    if (answer.outcome === 'acknowledged') this.#known = answer.text;
    if (answer.outcome === 'unanswered') this.#unanswered = command;
    return answer.outcome;
  }

  /** From here on what was unanswered counts as refused. */
  expectUnansweredRefused(): void {
    if (this.#standing === 'unanswered') this.#standing = 'refused';
    this.#unanswered = undefined;
  }

  /** Compares with what the service holds now, as JSON. */
  settle(found: string | undefined): void {
    const about = this.report.description;
    if (this.#standing === 'refused') expect(found, `${about} was refused`).to.equal(undefined);
    else if (this.#standing === 'unanswered') this.#settleReport(found);
    else if (found === undefined || this.#unanswered === undefined)
      expect(found, `${about} was acknowledged`).to.equal(this.#known);
    else this.#settleCommand(found, this.#unanswered);
    this.#unanswered = undefined;
  }

  #settleReport(found: string | undefined): void {
    this.#standing = found === undefined ? 'refused' : 'acknowledged';
    this.#known = found;
    if (found === undefined) return;
    const { auto_contain } = BUILT_IN_RULES[this.report.class];
    const state = auto_contain ? 'contained' : 'open';
    const version = 1 + (auto_contain ? this.#followUps : 0);
    expect(this.incident, 'a report without an answer').to.deep.include({ ...this.report, state, version });
  }

  /**
   * How many entries follow the one that contains: an alert when that is an action; a failure and its alert when a model
   * has to be quarantined and the evidence names none.
   */
  get #followUps(): number {
    const { actions } = BUILT_IN_RULES[this.report.class];
    const needsPerson = actions.includes('quarantine_model') && !('model_name' in this.report.evidence);
    return (actions.includes('log_alert') ? 1 : 0) + (needsPerson ? 2 : 0);
  }

  #settleCommand(found: string, command: CommandName): void {
    if (found === this.#known) return;
    const before = this.incident!;
    this.#known = found;
    const after = this.incident!;
    const followUps = command === 'contain' ? this.#followUps : 0;
    const state = targetOf(before.state, command);
    expect(after, `${command} without an answer`).to.deep.include({ state, note: `${command} ${this.#number}` });
    expect(after.version, `version after ${command} without an answer`).to.equal(before.version + 1 + followUps);
    expect(after.notes_count).to.equal((before.notes_count ?? 0) + 1);
    expect(after.notes?.map(({ note }) => note)).to.deep.equal([
      ...(before.notes ?? []).map(({ note }) => note),
      after.note,
    ]);
    expect(unmoved(after)).to.deep.equal(unmoved(before));
  }
}

/** Tells what an answer means; one that is neither a success nor "not now, try again" is a fault of the service. */
async function answerOf(sent: Promise<Answer>): Promise<{ readonly outcome: Outcome; readonly text: string }> {
  let answer: Answer;
  try {
    answer = await sent;
  } catch {
    return { outcome: 'unanswered', text: '' };
  }
  const { status, json, headers } = answer;
  expect(status, answer.text).to.be.oneOf([200, 201, 503]);
  if (status !== 503) return { outcome: 'acknowledged', text: JSON.stringify(json) };
  expect(headers['retry-after']).to.match(/^\d+$/);
  return { outcome: 'refused', text: '' };
}

const unmoved = (incident: Incident): object =>
  Object.fromEntries(Object.entries(incident).filter(([name]) => !MOVING.has(name)));
