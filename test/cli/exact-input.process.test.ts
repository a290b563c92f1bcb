import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { COMMAND_LINE } from '../support/programs.ts';
import { RunningService, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const MARK = Buffer.from([0xef, 0xbb, 0xbf]);
const report = (evidence: string): string =>
  `{"class":"prompt_injection","source":"s","description":"d","evidence":${evidence}}`;

/** What would be changed by reading it as JSON or as text, and what the command says then. */
const LOSSES = [
  ['{"n":12345678901234567890}', 'evidence.n: number with more digits than can be kept'],
  ['{"n":1e400}', 'evidence.n: number too large'],
  ['{"a":1,"a":2}', 'evidence.a: duplicate key'],
  [String.raw`{"a":"\ud800"}`, 'evidence.a: lone surrogate in a string'],
  ['{"__proto__":1}', '__proto__'],
] as const;

describe('a report from the command line', () => {
  const directory = temporaryDirectories();
  let home: ServiceHome;
  let service: RunningService;
  let file: string;

  before(async () => {
    home = new ServiceHome(directory());
    file = join(home.directory, 'given');
    service = await RunningService.start(home, { env: { BIND_ADDR: `unix:${join(home.directory, 'socket')}` } });
  });

  after(() => service.end('SIGKILL'));

  /** Runs a line of the shell in which `$report` is the command with what it needs, and `$file` a file that holds `given`. */
  const shell = async (line: string, given: Uint8Array | string = '') => {
    writeFileSync(file, given);
    const env = {
      PATH: process.env.PATH,
      INCIDENT_RECORDER_URL: `unix:${join(home.directory, 'socket')}`,
      INCIDENT_RECORDER_TOKEN_PATH: home.token,
      report: `${process.execPath} ${COMMAND_LINE} report`,
      options: '--class prompt_injection --source s',
      file,
    };
    const child = spawn('sh', ['-c', line], { env, stdio: ['ignore', 'pipe', 'pipe'] });
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
    return { status: child.exitCode, stdout, stderr };
  };

  const FROM_FILE = '$report $options --description d --json --evidence "@$file"';
  const FROM_ARGUMENT = '$report $options --description d --json --evidence "$(cat "$file")"';
  const FROM_INPUT = '$report --json <"$file"';

  for (const [evidence, message] of LOSSES) {
    it(`is refused with the evidence ${evidence}, from a file, an argument or standard input`, async () => {
      for (const [line, given] of [
        [FROM_FILE, evidence],
        [FROM_ARGUMENT, evidence],
        [FROM_INPUT, report(evidence)],
      ] as const) {
        const { status, stderr } = await shell(line, given);
        expect(status, line).to.equal(1);
        expect(stderr, line).to.include(message);
      }
    });
  }

  it('is refused with a byte-order mark, wherever it is', async () => {
    for (const [line, given] of [
      [FROM_FILE, '{}'],
      [FROM_ARGUMENT, '{}'],
      [FROM_INPUT, report('{}')],
    ] as const) {
      const { status, stderr } = await shell(line, Buffer.concat([MARK, Buffer.from(given)]));
      expect(status, line).to.equal(1);
      expect(stderr, line).to.include('begins with a byte-order mark (U+FEFF)');
    }
  });

  it('is refused when it is not UTF-8', async () => {
    const bytes = Buffer.from(report('{"a":"\u00ff"}'), 'latin1');
    const fromInput = await shell(FROM_INPUT, bytes);
    expect(fromInput).to.include({ status: 1, stderr: 'the report on standard input is not UTF-8\n' });
    const fromFile = await shell(FROM_FILE, Buffer.from('{"a":"\u00ff"}', 'latin1'));
    expect(fromFile).to.include({ status: 1, stderr: `${file} is not UTF-8\n` });
    for (const option of ['--description', '--dedup-key', '--source'])
      expect(await shell(`$report $options --description d ${option} "$(printf '\\377')"`)).to.include({
        status: 2,
        stderr: 'an argument is not UTF-8\n',
      });
  });

  it('is refused with a key that no header can carry', async () => {
    const { status, stderr } = await shell('$report $options --description d --idempotency-key 注入-1');
    expect(status).to.equal(1);
    expect(stderr).to.equal('the key of a report is 1 to 255 visible ASCII characters\n');
  });

  it('counts as left out when it is empty, as in the API', async () => {
    const { status, stdout } = await shell("$report $options --description d --severity '' --evidence '' --json");
    expect([status, JSON.parse(stdout).severity]).to.deep.equal([0, 'high']);
    expect(JSON.parse(stdout)).to.not.have.property('evidence');
    const listed = await shell("${report%report}list --state '' --class '' --severity ''");
    expect(listed.status, listed.stderr).to.equal(0);
  });

  it('keeps what can be kept, also the sign of zero and the character that stands for others', async () => {
    const evidence = '{"zero":-0.0,"text":"\ufffd\ufeff"}';
    for (const [line, given] of [
      [FROM_FILE, evidence],
      [FROM_ARGUMENT, evidence],
      [FROM_INPUT, report(evidence)],
    ] as const) {
      const { status, stdout } = await shell(line, given);
      expect(status, line).to.equal(0);
      expect(stdout, line).to.include('"zero":-0.0').and.to.include('"text":"\ufffd\\ufeff"');
    }
  });
});
