/**
 * Writes an audit log of any length, as a service that has run for some 200 days might have left it:
 *
 *     node test/bench/generate-log.ts --incidents 1000000 --key FILE --out FILE \
 *       [--seed N] [--evidence-bytes MIN:MAX] [--segment-bytes N]
 *
 * The same arguments give the same log, byte for byte; sealed segments and the checkpoint are written beside it. What becomes of an incident
 * is asked of the statechart, and entries are chained by the code that the service uses. Operators have `IN_HAND`
 * incidents in hand until the story of each has been told, so memory does not grow with the log. At the end the
 * statistics that the service must give of the log are printed, as JSON.
 */
import { createHash } from 'node:crypto';
import { parseArgs } from 'node:util';
import { type CommandName, eventOfCommand } from '../../machines/commands.ts';
import { begin, decide, type IncidentSnapshot, type Intent, stateOf } from '../../machines/decision.ts';
import { type ChainHash, chainHash } from '../../src/audit/chain-hash.ts';
import { readKey } from '../../src/audit/key.ts';
import { incidentId } from '../../src/incidents/incident-id.ts';
import { HOUR, timestamp } from '../../src/clock.ts';
import { canonicalForm } from '../../src/json/canonical-form.ts';
import { BUILT_IN_RULES } from '../../src/policy/defaults.ts';
import { ChainedFile } from './chained-file.ts';
import { type EvidenceBytes, imagineReport, REALISTIC_EVIDENCE } from './imagined-report.ts';
import { type ExpectedStatistics, Population } from './population.ts';
import { Random } from './random.ts';
import type { Draft, EntryDataOf, EntryEvent, Report } from '../../src/domain/entries.ts';
import type { Severity } from '../../machines/vocabulary.ts';

const BEGINNING = Date.parse('2026-05-01T00:00:00Z');
const DURATION = 200 * 24 * HOUR;
/** How often an incident is reported or moved, on average: to spread that over the duration. */
const STEPS_OF_AN_INCIDENT = 2.8;

/** What the service takes when it is not told otherwise (AUDIT_SEGMENT_BYTES). */
const SEGMENT_BYTES = 64 * 1024 * 1024;

const IN_HAND = 512;
const NEVER_RESOLVED = 0.05;
const OPERATORS = ['ada', 'grace', 'katherine', 'margaret'];
const NOTES = [
  'looked into it: a test of ours',
  'agent restarted from a clean image',
  'model sent back, vault re-keyed',
];

export interface GenerateOptions {
  readonly incidents: number;
  readonly path: string;
  readonly hash: ChainHash;
  readonly seed?: number;
  readonly evidence?: EvidenceBytes;
  /** The size at which a segment is sealed. */
  readonly segmentBytes?: number;
}

export interface GeneratedLog {
  readonly entries: number;
  /** `entry_hash` of the last entry. */
  readonly hash: string;
  readonly bytes: number;
  readonly statistics: ExpectedStatistics;
}

/** Writes the log and its checkpoint. Throws when there is a file at the path already. */
export async function generateLog(options: GenerateOptions): Promise<GeneratedLog> {
  const { incidents, path, hash, seed = 1, evidence = REALISTIC_EVIDENCE, segmentBytes = SEGMENT_BYTES } = options;
  const file = new ChainedFile(path, hash, segmentBytes);
  const story = new Story(file, new Random(seed), evidence, DURATION / incidents);
  for (let number = 1; number <= incidents; number++) story.report(number);
  story.finish();
  return { ...(await file.close()), statistics: story.population.statistics };
}

type Step = CommandName | 'recur';

/** An incident whose story has not been told to its end. */
interface Unfinished {
  readonly id: string;
  readonly report: Report;
  readonly severity: Severity;
  snapshot: IncidentSnapshot;
  version: number;
  /** What will be done, the last first. */
  readonly plan: Step[];
}

const eventOf = (step: Step): EntryEvent => (step === 'recur' ? 'incident.recurred' : eventOfCommand(step));

class Story {
  readonly population = new Population();
  readonly #file: ChainedFile;
  readonly #random: Random;
  readonly #evidence: EvidenceBytes;
  readonly #stepInterval: number;
  readonly #inHand: Unfinished[] = [];
  #now = BEGINNING;

  /** @param interval milliseconds from one incident to the next, on average */
  constructor(file: ChainedFile, random: Random, evidence: EvidenceBytes, interval: number) {
    this.#file = file;
    this.#random = random;
    this.#evidence = evidence;
    this.#stepInterval = interval / STEPS_OF_AN_INCIDENT;
  }

  /** The next incident is reported, and operators go on with some that they have in hand. */
  report(number: number): void {
    const random = this.#random;
    this.#pass();
    const recurrences = random.chance(0.12) ? 1 + random.below(6) : 0;
    const report: Report = {
      ...imagineReport(random, this.#evidence),
      ...(recurrences === 0 ? {} : { dedup_key: `burst-${number}` }),
    };
    const rule = BUILT_IN_RULES[report.class];
    const severity = report.severity ?? rule.default_severity;
    const { snapshot, intents } = begin(rule);
    const state = stateOf(snapshot);
    const id = incidentId(
      this.#now,
      (bytes) => Buffer.from(random.hex(2 * bytes), 'hex'),
      () => false,
    );
    this.#append('incident.reported', {
      incident: id,
      version: 1,
      state,
      severity,
      report,
      rule,
      intents,
      ...(random.chance(0.2) ? { idempotency: { key: `run-${number}`, fingerprint: fingerprint(report) } } : {}),
    });
    this.population.add({ class: report.class, severity, state });
    const plan = this.#plan(state === 'open', recurrences);
    const incident: Unfinished = { id, report, severity, snapshot, version: 1, plan };
    this.#alert(incident, intents);
    if (plan.length > 0) this.#inHand.push(incident);
    while (this.#inHand.length > IN_HAND) this.#goOn();
  }

  /** Operators go on until they have nothing in hand. */
  finish(): void {
    while (this.#inHand.length > 0) this.#goOn();
  }

  #plan(open: boolean, recurrences: number): Step[] {
    const plan: Step[] = this.#random.chance(NEVER_RESOLVED) ? [] : ['resolve'];
    if (this.#random.chance(0.4)) plan.push('acknowledge');
    if (open && this.#random.chance(0.4)) plan.push('contain');
    return [...plan, ...Array<Step>(recurrences).fill('recur')];
  }

  #goOn(): void {
    const at = this.#random.below(this.#inHand.length);
    const incident = this.#inHand[at]!;
    this.#take(incident, incident.plan.pop()!);
    if (incident.plan.length > 0) return;
    this.#inHand[at] = this.#inHand.at(-1)!;
    this.#inHand.pop();
  }

  #take(incident: Unfinished, type: Step): void {
    const decision = decide(incident.snapshot, { type });
    if (decision.kind !== 'moved') throw new Error(`${type} is not possible: ${decision.kind}`);
    const { snapshot, intents } = decision;
    const before = stateOf(incident.snapshot);
    const state = stateOf(snapshot);
    this.#pass();
    incident.snapshot = snapshot;
    incident.version += 1;
    const about = { incident: incident.id, version: incident.version, state };
    if (type === 'recur') {
      this.#append(eventOf(type), { ...about, report: incident.report });
      return;
    }
    const note = this.#random.chance(0.5) ? { note: this.#random.pick(NOTES) } : {};
    const by = this.#random.pick(OPERATORS);
    this.#append(eventOf(type), { ...about, by, ...note, intents });
    this.population.move(before, state);
    this.#alert(incident, intents);
  }

  #alert(incident: Unfinished, intents: readonly Intent[]): void {
    if (!intents.some(({ action }) => action === 'log_alert')) return;
    const { id, snapshot, severity, report } = incident;
    incident.version += 1;
    this.#append('alert.raised', {
      incident: id,
      version: incident.version,
      state: stateOf(snapshot),
      class: report.class,
      severity,
      source: report.source,
      reason: 'containment asked for log_alert',
    });
  }

  #append<Event extends EntryEvent>(event: Event, data: EntryDataOf[Event]): void {
    this.#file.append({ timestamp: timestamp(this.#now), event, data } as Draft);
  }

  #pass(): void {
    this.#now += this.#random.exponential(this.#stepInterval);
  }
}

const fingerprint = (report: Report): string => createHash('sha256').update(canonicalForm(report)).digest('hex');

/** Reads `MIN:MAX`. */
function evidenceBytes(text: string): EvidenceBytes {
  const [least = NaN, most = NaN] = text.split(':').map(Number);
  if (least >= 0 && most >= least && most <= REALISTIC_EVIDENCE.most) return { least, most };
  throw new Error(`--evidence-bytes must be MIN:MAX, at most ${REALISTIC_EVIDENCE.most}, not ${text}`);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      incidents: { type: 'string' },
      key: { type: 'string' },
      out: { type: 'string' },
      seed: { type: 'string', default: '1' },
      'segment-bytes': { type: 'string', default: String(SEGMENT_BYTES) },
      'evidence-bytes': { type: 'string', default: `${REALISTIC_EVIDENCE.least}:${REALISTIC_EVIDENCE.most}` },
    },
  });
  if (values.incidents === undefined || values.out === undefined) throw new Error('--incidents and --out are required');
  const generated = await generateLog({
    incidents: Number(values.incidents),
    path: values.out,
    hash: chainHash(values.key === undefined ? undefined : readKey(values.key)),
    seed: Number(values.seed),
    evidence: evidenceBytes(values['evidence-bytes']),
    segmentBytes: Number(values['segment-bytes']),
  });
  process.stdout.write(`${JSON.stringify(generated, undefined, 2)}\n`);
}
