/**
 * The log of a machine of a fleet, in memory: a thousand incidents in a month and what becomes of them, some five entries
 * each. What a command does is asked of the statechart, and entries are chained by the code that the recorder uses.
 */
import { begin, decide, type IncidentSnapshot, type Intent, stateOf } from '../../../machines/decision.ts';
import { type CommandName, eventOfCommand } from '../../../machines/commands.ts';
import { type ChainHash, chainHash } from '../../../src/audit/chain-hash.ts';
import { chainEntry, EMPTY_HEAD, type Head } from '../../../src/audit/entry.ts';
import { DAY, HOUR, SECOND, timestamp } from '../../../src/clock.ts';
import type { Draft, EntryDataOf, EntryEvent, Report } from '../../../src/domain/entries.ts';
import { LOG_FORMAT } from '../../../src/domain/entries.ts';
import { BUILT_IN_RULES } from '../../../src/policy/defaults.ts';
import { VERSION } from '../../../src/version.ts';
import type { Severity } from '../../../machines/vocabulary.ts';
import { imagineReport } from '../imagined-report.ts';
import { Random } from '../random.ts';

/** How long the story lasts, in milliseconds. */
const DURATION = 30 * DAY;

const EVIDENCE = { least: 200, most: 2048 };
/** How many incidents people have in hand at a time, and how many of these stay. */
const IN_HAND = 32;
const NEVER_RESOLVED = 0.05;
const PEOPLE = ['ada', 'grace', 'katherine', 'margaret', 'hedy', 'radia'];
const NOTES = [
  'looked into it: a test of ours',
  'agent restarted from a clean image',
  'model sent back, vault re-keyed',
];
/** How often evidence has one of a few values that other machines have as well: then it may be a campaign. */
const SHARED = 0.02;
const SHARED_VALUES = 200;

type Step = CommandName | 'assign' | 'note' | 'confirm' | 'recur';

interface Told {
  readonly id: string;
  readonly report: Report;
  readonly severity: Severity;
  snapshot: IncidentSnapshot;
  version: number;
  /** What is to come, the last first. */
  readonly plan: Step[];
  /** What was asked for and not confirmed yet. */
  readonly asked: Intent[];
}

export class MachineStory {
  readonly lines: string[] = [];
  readonly #hash: ChainHash;
  readonly #random: Random;
  readonly #interval: number;
  readonly #inHand: Told[] = [];
  #head: Head = EMPTY_HEAD;
  #now: number;

  /** @param end when the story is to be over: milliseconds since the epoch */
  constructor(seed: number, incidents: number, end: number, key: Buffer) {
    this.#hash = chainHash(key);
    this.#random = new Random(seed);
    this.#now = end - DURATION;
    this.#interval = DURATION / (5 * incidents);
    this.#append('service.started', {
      service_version: VERSION,
      log_format: LOG_FORMAT,
      policy: { digest: 'd', source: 's' },
      checkpoint: 'absent',
      nonce: String(seed),
    });
    this.#silences(end);
    for (let count = 0; count < incidents; count++) this.#report();
    while (this.#inHand.length > 0) this.#goOn();
  }

  #silences(end: number): void {
    if (!this.#random.chance(0.2)) return;
    this.#append('silence.added', {
      silence: `SIL-${this.#random.hex(12)}`,
      class: ['tool_call_burst'],
      source: ['agent-supervisor'],
      severity: [],
      from: timestamp(this.#now),
      until: timestamp(end + 30 * DAY),
      reason: 'a load test',
      by: 'ada',
    });
  }

  #report(): void {
    const random = this.#random;
    const imagined = imagineReport(random, EVIDENCE);
    const report: Report = random.chance(SHARED)
      ? { ...imagined, evidence: { ...imagined.evidence, model_hash: `sha256:${random.below(SHARED_VALUES)}` } }
      : imagined;
    const rule = BUILT_IN_RULES[report.class];
    const severity = report.severity ?? rule.default_severity;
    const { snapshot, intents } = begin(rule);
    const id = `INC-${timestamp(this.#now).slice(0, 10).replaceAll('-', '')}-${random.hex(12)}`;
    const state = stateOf(snapshot);
    this.#append('incident.reported', { incident: id, version: 1, state, severity, report, rule, intents });
    const plan = this.#plan(state === 'open');
    const told: Told = { id, report, severity, snapshot, version: 1, plan, asked: [...engagesOf(intents)] };
    this.#alert(told, intents);
    if (told.asked.length > 0 && random.chance(0.8)) plan.push('confirm');
    if (plan.length > 0) this.#inHand.push(told);
    while (this.#inHand.length > IN_HAND) this.#goOn();
  }

  #plan(isOpen: boolean): Step[] {
    const random = this.#random;
    const plan: Step[] = random.chance(NEVER_RESOLVED) ? [] : ['resolve'];
    if (random.chance(0.2)) plan.push('note');
    if (random.chance(0.3)) plan.push('assign');
    if (random.chance(0.4)) plan.push('acknowledge');
    if (isOpen && random.chance(0.4)) plan.push('contain');
    if (random.chance(0.1)) plan.push(...Array<Step>(1 + random.below(5)).fill('recur'));
    return plan;
  }

  #goOn(): void {
    const at = this.#random.below(this.#inHand.length);
    const told = this.#inHand[at]!;
    this.#take(told, told.plan.pop()!);
    if (told.plan.length > 0) return;
    this.#inHand[at] = this.#inHand.at(-1)!;
    this.#inHand.pop();
  }

  #take(told: Told, step: Step): void {
    const random = this.#random;
    const by = random.pick(PEOPLE);
    const about = () => ({ incident: told.id, version: (told.version += 1), state: stateOf(told.snapshot) });
    switch (step) {
      case 'confirm':
        for (const { action, directive } of told.asked.splice(0)) {
          this.#append('containment.confirmed', {
            ...about(),
            action,
            directive,
            receipt: { by: 'answer', status: 200 },
          });
        }
        return;
      case 'recur':
        this.#append('incident.recurred', { ...about(), report: told.report });
        return;
      case 'note':
        this.#append('incident.noted', { ...about(), by, note: random.pick(NOTES) });
        return;
      case 'assign':
        this.#append('incident.assigned', { ...about(), by, to: random.pick(PEOPLE) });
        return;
      default:
        this.#command(told, step, by);
    }
  }

  #command(told: Told, type: CommandName, by: string): void {
    const decision = decide(told.snapshot, { type });
    if (decision.kind !== 'moved') throw new Error(`${type} is not possible: ${decision.kind}`);
    const { snapshot, intents } = decision;
    told.snapshot = snapshot;
    told.version += 1;
    const about = { incident: told.id, version: told.version, state: stateOf(snapshot) };
    const resolution = type === 'resolve' && this.#random.chance(0.5) ? { resolution: 'false_positive' as const } : {};
    this.#append(eventOfCommand(type), { ...about, by, intents, ...resolution });
    this.#alert(told, intents);
  }

  #alert(told: Told, intents: readonly Intent[]): void {
    if (!intents.some(({ action }) => action === 'log_alert')) return;
    const { id: incident, snapshot, severity, report } = told;
    told.version += 1;
    this.#append('alert.raised', {
      incident,
      version: told.version,
      state: stateOf(snapshot),
      class: report.class,
      severity,
      source: report.source,
      reason: 'containment asked for log_alert',
    });
  }

  #append<Event extends EntryEvent>(event: Event, data: EntryDataOf[Event]): void {
    this.#now += Math.min(6 * HOUR, this.#random.exponential(this.#interval) + SECOND / 1000);
    const draft = { timestamp: timestamp(this.#now), event, data } as Draft;
    const { entry, line } = chainEntry(draft, this.#head, this.#hash);
    this.#head = { entries: entry.data.seq, hash: entry.entry_hash };
    this.lines.push(line.trimEnd());
  }
}

const engagesOf = (intents: readonly Intent[]): readonly Intent[] =>
  intents.filter(({ action, directive }) => action !== 'log_alert' && directive === 'engage');
