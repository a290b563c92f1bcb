/**
 * The functions that a report passes through, one by one; run by `suites/functions.ts` in a process for each setting.
 * Prints nanoseconds for a call, as JSON.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { measure } from 'mitata';
import { begin, decide, snapshotOf } from '../../machines/decision.ts';
import { REPORT_REQUIRED, reportSchema } from '../../src/api/incidents/requests.ts';
import { validate } from '../../src/api/request/validate.ts';
import { chainHash } from '../../src/audit/chain-hash.ts';
import { chainEntry, EMPTY_HEAD, parseEntry } from '../../src/audit/entry.ts';
import { canonicalForm, writeExact } from '../../src/json/canonical-form.ts';
import { parseExact } from '../../src/json/exact-json.ts';
import { BUILT_IN_RULES } from '../../src/policy/defaults.ts';
import { Projections } from '../../src/projections/projections.ts';
import { REPORT } from './sending.ts';
import type { DraftOf, StoredEntry } from '../../src/domain/entries.ts';

const BATCH = 100;
const BYTES = 1200;

const rule = BUILT_IN_RULES[REPORT.class];
const { intents } = begin(rule);
const draftOf = (id: string): DraftOf<'incident.reported'> => ({
  timestamp: '2026-11-22T07:12:00.123Z',
  event: 'incident.reported',
  data: {
    incident: id,
    version: 1,
    state: 'contained',
    severity: rule.default_severity,
    report: REPORT,
    rule,
    intents,
  },
});

const hash = chainHash(Buffer.from('0123456789abcdef0123456789abcdef'));
const draft = draftOf('INC-20261122-4f2a9c01d3e8');
const { entry, line } = chainEntry(draft, EMPTY_HEAD, hash);
const text = JSON.stringify(REPORT);
const { auto_contain, actions } = rule;
const contained = snapshotOf('contained', { auto_contain, actions, occurrences: 1, standings: {} });

const directory = mkdtempSync(join(tmpdir(), 'incident-recorder-bench-'));
const projections = new Projections(join(directory, 'audit.sqlite'));
let seq = 0;
/** Entries that follow each other, without the chain, which is measured by itself. */
const nextBatch = (): StoredEntry[] =>
  Array.from({ length: BATCH }, () => {
    seq += 1;
    const { timestamp, event, data } = draftOf(`INC-20261122-${seq.toString(16).padStart(12, '0')}`);
    const { prev_hash, entry_hash, algorithm } = entry;
    const place = { offset: seq * BYTES, length: BYTES };
    return { timestamp, event, data: { seq, ...data }, prev_hash, entry_hash, algorithm, ...place };
  });

const FUNCTIONS: Readonly<Record<string, () => unknown>> = {
  'JSON.parse, for comparison': () => JSON.parse(text),
  parseExact: () => parseExact(text),
  'validate a report': () => validate(reportSchema, REPORT, 'field', REPORT_REQUIRED),
  decide: () => decide(contained, { type: 'acknowledge' }),
  'JSON.stringify, for comparison': () => JSON.stringify(REPORT),
  canonicalForm: () => canonicalForm(REPORT),
  writeExact: () => writeExact(REPORT),
  'digest of a line': () => hash.digest(line),
  chainEntry: () => chainEntry(draft, EMPTY_HEAD, hash),
  parseEntry: () => parseEntry(line.slice(0, -1), EMPTY_HEAD, hash),
  [`Projections.apply, ${BATCH} entries`]: () => projections.apply(nextBatch().map((next) => ({ entry: next }))),
};

const figures: Record<string, { readonly p50: number; readonly p99: number }> = {};
for (const [name, work] of Object.entries(FUNCTIONS)) {
  const { p50, p99 } = await measure(work);
  figures[name] = { p50, p99 };
}
if (projections.fault !== undefined) throw projections.fault;
projections.close();
rmSync(directory, { recursive: true });
process.stdout.write(JSON.stringify(figures));
