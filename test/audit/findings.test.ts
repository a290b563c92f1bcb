import {
  appendFileSync,
  copyFileSync,
  linkSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { basename, join } from 'node:path';
import { expect } from 'chai';
import { type FindingName, FINDINGS } from '../../src/audit/findings.ts';
import { findingsIn } from '../../src/audit/recovery.ts';
import { findSealed } from '../../src/audit/segments.ts';
import { verifyLog } from '../../src/audit/verify.ts';
import { draft, HASH, openLog } from '../support/audit-log.ts';
import { readmeText } from '../support/readme.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const SEGMENT_BYTES = 2000;

/** How each finding about the log's files is made: what somebody does to the files while the service is stopped, or while it runs. */
type Cause =
  | { readonly stopped: (path: string) => Promise<void> | void; readonly verified?: false }
  | { readonly running: (path: string) => Promise<void> | void; readonly isWhole?: true };

const CAUSES: Readonly<
  Record<
    Exclude<FindingName, 'anchor_mismatch' | 'database_altered' | 'log_is_another' | 'log_mended' | 'posture_altered'>,
    Cause
  >
> = {
  // An old log without a checkpoint verifies as far as it reaches.
  checkpoint_missing: { stopped: (path) => rmSync(`${path}.checkpoint`), verified: false },
  entries_missing: { stopped: async (path) => rmSync((await findSealed(path))[1]!.path) },
  entries_lost: { running: (path) => truncateSync(path) },
  log_removed: { running: (path) => rmSync(path) },
  log_replaced: {
    running: (path) => {
      copyFileSync(path, `${path}.copy`);
      renameSync(`${path}.copy`, path);
    },
  },
  log_extended: { running: (path) => appendFileSync(path, 'foreign\n') },
  log_linked: { running: (path) => linkSync(path, `${path}.link`) },
  segment_replaced: {
    running: async (path) => {
      const [, { path: second }] = (await findSealed(path)) as [unknown, { path: string }];
      copyFileSync(second, `${second}.copy`);
      renameSync(`${second}.copy`, second);
    },
    isWhole: true,
  },
  checkpoint_removed: { running: (path) => rmSync(`${path}.checkpoint`) },
  checkpoint_replaced: { running: (path) => writeFileSync(`${path}.checkpoint`, '{}') },
  entry_altered: {
    stopped: async (path) => {
      const [{ path: first } = { path }] = await findSealed(path);
      writeFileSync(first, readFileSync(first, 'utf8').replace('entry 2', 'entry X'));
    },
  },
  checkpoint_altered: { stopped: (path) => writeFileSync(`${path}.checkpoint`, '{}') },
  log_cut: { stopped: (path) => truncateSync(path) },
};

describe('the table of findings', () => {
  const directory = temporaryDirectories();

  it('is the one of the README', () => {
    const [, table = ''] =
      /\n\| finding +\| kind.*\n\| -.*\n((?:\|.*\n)+)/.exec(readmeText('src/audit/README.md')) ?? [];
    const rows = table
      .trimEnd()
      .split('\n')
      .map((row) =>
        row
          .split('|')
          .slice(1, -1)
          .map((cell) => cell.trim()),
      );
    expect(rows).to.deep.equal(
      Object.entries(FINDINGS).map(([name, { kind, meaning, response }]) => [`\`${name}\``, kind, meaning, response]),
    );
  });

  const recorded = async (): Promise<string> => {
    const path = join(directory(), 'audit.jsonl');
    const { log } = await openLog(path, HASH, SEGMENT_BYTES);
    for (let n = 1; n <= 23; n++) await log.append([draft(`entry ${n}`)]);
    await log.close();
    return path;
  };

  for (const [name, cause] of Object.entries(CAUSES)) {
    const { kind } = FINDINGS[name as FindingName];
    it(`holds in the row ${name}`, async () => {
      const path = await recorded();
      if ('stopped' in cause) await cause.stopped(path);
      const before = await verifyLog(path, HASH);
      const opened = await openLog(path, HASH, SEGMENT_BYTES);
      if ('running' in cause) {
        await cause.running(path);
        await opened.log.probe();
      }
      const answer = await opened.log.append([draft('a report')]).catch((error: unknown) => error);
      const { status } = opened.log;
      await opened.log.close();
      if (kind === 'altered') {
        expect(answer).to.have.property('code', 'log_unavailable');
        expect(status.state).to.equal('damaged');
        expect(opened.recovered.damage).to.include({ finding: name });
        expect(before.damage).to.include({ finding: name });
        return;
      }
      expect(answer).to.be.an('array');
      expect(status.state).to.equal('open');
      if ('stopped' in cause) {
        expect(findingsIn(opened.recovered).map((finding) => finding.name)).to.deep.equal([name]);
        if (cause.verified !== false) expect(before.damage).to.include({ finding: name });
        return;
      }
      const found = opened.durable.filter((entry) => entry.event === 'log.damage_found');
      expect(found.map(({ data }) => data.finding.split(':')[0])).to.deep.equal([name]);
      const alerts = opened.durable.filter((entry) => entry.event === 'alert.raised');
      expect(alerts.map(({ data }) => 'finding' in data && data.finding)).to.deep.equal([found[0]?.data.finding]);
      const after = await verifyLog(path, HASH);
      expect(after).to.not.have.property('damage');
      expect(after.missing.map(({ file }) => file)).to.deep.equal(
        kind === 'missing' && !('isWhole' in cause) ? [basename(path)] : [],
      );
    });
  }
});
