import { appendFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { chainHash } from '../../src/audit/chain-hash.ts';
import { chainEntry, EMPTY_HEAD, type Head } from '../../src/audit/entry.ts';
import { readKey } from '../../src/audit/key.ts';
import { type Draft, LOG_FORMAT, readEntry } from '../../src/domain/entries.ts';
import { VERSION } from '../../src/version.ts';
import { generateLog } from '../bench/generate-log.ts';
import { run } from '../cli/support/command-line.ts';
import { RunningService, runningServices, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const POLICY = { digest: 'd', source: 'file' };

/** Entries as a later version may write them. */
const entry = (event: string, data: object): Draft =>
  ({ timestamp: '2036-11-22T07:12:00.123Z', event, data }) as unknown as Draft;

const UNKNOWN = entry('incident.prophesied', { incident: 'INC-1', version: 1, state: 'open' });
const STARTED = entry('service.started', {
  service_version: '9.8.7',
  log_format: LOG_FORMAT + 1,
  policy: POLICY,
  checkpoint: 'present',
});
const STARTED_WITHOUT_FORMAT = entry('service.started', {
  service_version: '9.8.7',
  policy: POLICY,
  checkpoint: 'present',
});

describe('a log of a newer version', () => {
  const directory = temporaryDirectories();
  const start = runningServices();

  const linesOf = ({ log }: ServiceHome): string[] => readFileSync(log, 'utf8').split('\n').slice(0, -1);

  const append = (home: ServiceHome, ...drafts: readonly Draft[]): void => {
    const last = readEntry(linesOf(home).at(-1)!);
    let head: Head = { entries: last.data.seq, hash: last.entry_hash };
    for (const draft of drafts) {
      const chained = chainEntry(draft, head, chainHash(readKey(home.key)));
      appendFileSync(home.log, chained.line);
      head = { entries: chained.entry.data.seq, hash: chained.entry.entry_hash };
    }
  };

  /** A log of this version, whose service was stopped or killed. */
  const used = async (signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<ServiceHome> => {
    const home = new ServiceHome(directory());
    const service = await start(home);
    await service.report();
    await service.end(signal);
    return home;
  };

  const expectRefused = async (home: ServiceHome, ...words: readonly string[]): Promise<void> => {
    const before = readFileSync(home.log);
    const { code, errors } = await RunningService.run(home);
    expect([code, errors]).to.deep.equal([78, errors]);
    for (const word of ['a', 'version', VERSION, ...words]) expect(errors).to.include(word);
    expect(readFileSync(home.log).equals(before)).to.equal(true);
  };

  it('is recognised by its format, which the first entry of each run says', async () => {
    const home = await used();
    expect(readEntry(linesOf(home)[0]!).data).to.include({ service_version: VERSION, log_format: LOG_FORMAT });
  });

  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    it(`is refused by the name of an event, and left as it is, after ${signal}`, async () => {
      const home = await used(signal);
      append(home, UNKNOWN);
      await expectRefused(home, '"incident.prophesied"');
      append(home, STARTED_WITHOUT_FORMAT, UNKNOWN);
      await expectRefused(home, '"incident.prophesied"', '9.8.7');
    });
  }

  it('is refused by its version and format', async () => {
    const formats = await used();
    append(formats, STARTED);
    await expectRefused(formats, '9.8.7', `log format ${LOG_FORMAT + 1}`);
    const versions = await used();
    append(versions, STARTED_WITHOUT_FORMAT);
    await expectRefused(versions, '9.8.7');
  });

  it('is refused before anything is written, also where most of it is read later', async () => {
    const home = new ServiceHome(directory());
    const hash = chainHash(readKey(home.key));
    const path = join(directory(), 'generated.jsonl');
    await generateLog({ incidents: 2000, path, hash });
    const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1);
    let head = EMPTY_HEAD;
    let text = '';
    const write = (draft: Draft): void => {
      const chained = chainEntry(draft, head, hash);
      head = { entries: chained.entry.data.seq, hash: chained.entry.entry_hash };
      text += chained.line;
    };
    for (const [at, line] of lines.entries()) {
      if (at === 1000) write(STARTED);
      const { timestamp, event, data } = readEntry(line);
      const rest = Object.fromEntries(Object.entries(data).filter(([name]) => name !== 'seq'));
      write({ timestamp, event, data: rest } as unknown as Draft);
    }
    writeFileSync(home.log, text);
    const signed = `{"entries":${head.entries},"last_hash":"${head.hash}"}`;
    writeFileSync(`${home.log}.checkpoint`, `${signed.slice(0, -1)},"hmac":"${hash.digest(signed)}"}\n`);
    await expectRefused(home, '9.8.7');
    rmSync(join(home.directory, 'audit.sqlite'), { force: true });
    await expectRefused(home, '9.8.7');
  });

  it('is damage when it is not as somebody with the key wrote it', async () => {
    const home = await used();
    append(home, UNKNOWN);
    writeFileSync(home.log, readFileSync(home.log, 'utf8').replace('prophesied', 'prophecied'));
    const service = await start(home);
    const { status, reasons } = (await service.get('/health')).json;
    // Behind the checkpoint it counts as torn off by a crash.
    expect([status, reasons]).to.deep.equal(['ok', undefined]);
    await service.said('a torn tail was cut off');
  });

  it('is named by verify', async () => {
    const home = await used();
    append(home, UNKNOWN);
    const { status, stdout } = await run(['verify', '--key', home.key, home.log]);
    expect(status).to.equal(1);
    expect(stdout).to.include(': NOT KNOWN, a newer version wrote it\n');
    expect(stdout).to.match(
      /^newer {7}audit\.jsonl, line \d+: its event "incident\.prophesied" is unknown to version/m,
    );
    expect(stdout).to.not.include('damage');
  });

  it('keeps its key until the newer version replaces it', async () => {
    const home = await used();
    append(home, STARTED);
    const key = join(home.directory, 'new-key');
    writeFileSync(key, 'another key, which is long enough', { mode: 0o600 });
    const { status, stderr } = await run(['rotate-key', '--old-key', home.key, '--new-key', key, home.log]);
    expect(status).to.equal(1);
    expect(stderr).to.include('was written by version 9.8.7').and.to.include('start the newer version');
  });
});
