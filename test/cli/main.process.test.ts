import { spawn } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { expect } from 'chai';
import { STATES } from '../../machines/vocabulary.ts';
import { until } from '../faults/support/until.ts';
import { COMMAND_LINE } from '../support/programs.ts';
import { ROOT, RunningService, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { Squatter } from '../client/support/squatter.ts';
import { run, type RunOptions } from './support/command-line.ts';

const REPORT = ['report', '--class', 'prompt_injection', '--source', 'try-out', '--description'];
const POLICY = join(ROOT, 'policy/incident-containment.yaml');

describe('incident-recorder', () => {
  const directory = temporaryDirectories();
  let home: ServiceHome;
  let service: RunningService;
  let env: Record<string, string>;

  before(async () => {
    home = new ServiceHome(directory());
    env = {
      INCIDENT_RECORDER_URL: `unix:${join(home.directory, 'socket')}`,
      INCIDENT_RECORDER_TOKEN_PATH: home.token,
    };
    service = await RunningService.start(home, { env: { BIND_ADDR: env.INCIDENT_RECORDER_URL! } });
  });

  after(() => service.end('SIGKILL'));

  const recorder = (args: readonly string[], options: RunOptions = {}) =>
    run(args, { ...options, env: { ...env, ...options.env } });

  /** Runs what has to succeed, and gives its lines of JSON. */
  // oxlint-disable-next-line typescript/no-explicit-any -- documents of every shape
  const json = async (...args: readonly string[]): Promise<readonly any[]> => {
    const { status, stdout, stderr } = await recorder([...args, '--json']);
    expect({ status, stderr }).to.deep.equal({ status: 0, stderr: '' });
    return stdout
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line));
  };

  const report = async (description: string, ...more: readonly string[]): Promise<string> => {
    const [{ id }] = await json(...REPORT, description, ...more);
    return id;
  };

  describe('report', () => {
    it('takes options', async () => {
      const { status, stdout } = await recorder([...REPORT, 'hidden instructions', '--evidence', '{"n": 1.50}']);
      expect(stdout).to.match(/^INC-\d{8}-[\da-f]{12} {2}high {2}contained \(delivering\) {2}prompt_injection {2}\(/);
      expect(status).to.equal(0);
    });

    it('takes JSON from standard input, as it is', async () => {
      const given = { class: 'tool_call_burst', source: 's', description: 'd', evidence: { a: [1, 'b'] } };
      const { stdout } = await recorder(['report', '--json'], { input: JSON.stringify(given) });
      expect(JSON.parse(stdout)).to.deep.include(given);
      const refused = await recorder(['report'], { input: '{"class":"tool_call_burst","evidence":{"n":1e999}}' });
      expect(refused).to.include({ status: 1, stdout: '' });
      expect(refused.stderr).to.match(/^refused \(400\): evidence\.n/);
    });

    it('takes evidence from a file, and refuses what is none', async () => {
      const path = join(directory(), 'evidence.json');
      writeFileSync(path, '{"from":"a file"}');
      const [{ evidence }] = await json(...REPORT, 'd', '--evidence', `@${path}`);
      expect(evidence).to.deep.equal({ from: 'a file' });
      const refused = await recorder([...REPORT, 'd', '--evidence', '[1]']);
      expect(refused).to.include({ status: 2 });
      expect(refused.stderr).to.include('must be a JSON object');
    });
  });

  describe('list', () => {
    it('collapses a flood of one source into a line, so that others stay in sight', async () => {
      for (let n = 0; n < 5; n++) {
        await json('report', '--class', 'tool_call_burst', '--source', 'flood-test', '--description', `flood ${n}`);
      }
      await json('report', '--class', 'tool_call_burst', '--source', 'quiet-test', '--description', 'the other');
      const sources = ['--source', 'flood-test', 'quiet-test'];
      const { stdout } = await recorder(['list', ...sources, '--collapse', '--limit', '2']);
      const [, first, second, ...rest] = stdout.trimEnd().split('\n');
      expect(first).to.match(/tool_call_burst +quiet-test +the other$/);
      expect(second).to.match(/tool_call_burst ×5 +flood-test +flood 4$/);
      expect(rest).to.deep.equal([]);
      expect(await recorder(['list', '--collapse', '--json'])).to.include({ status: 2 });
    });

    it('filters, limits, and gives a line of JSON for each', async () => {
      const source = 'list-test';
      for (const description of ['one', 'two', 'three']) {
        await json('report', '--class', 'tool_call_burst', '--source', source, '--description', description);
      }
      const all = await json('list', '--source', source, '--class', 'tool_call_burst', '--since', '1h');
      expect(all.map(({ description }) => description)).to.deep.equal(['three', 'two', 'one']);
      expect(await json('list', '--source', source, '--limit', '2')).to.have.length(2);
      expect(await json('list', '--source', source, '--until', '2026-01-01')).to.have.length(0);
      const found = await json('list', '--source', source, '--search', 'thr*');
      expect(found.map(({ description }) => description)).to.deep.equal(['three']);
      const table = await recorder(['list', '--source', source, '--limit', '2']);
      expect(table.stdout.split('\n')[0]).to.match(/^ID +SEVERITY +STATE +AGE +CLASS +SOURCE +DESCRIPTION$/);
      expect(table.stdout.split('\n')).to.have.length(4);
      expect(table.stderr).to.include('2 of 3: --limit shows more');
    });

    it('says what a filter may be', async () => {
      const { status, stderr } = await recorder(['list', '--state', 'closed']);
      expect(stderr).to.include(`'closed' is invalid. Allowed choices are ${STATES.join(', ')}.`);
      expect(status).to.equal(2);
      expect(await recorder(['list', '--since', 'yesterday'])).to.include({ status: 1 });
    });
  });

  describe('similar, and list', () => {
    it('find incidents by their evidence, and sort them', async () => {
      const ip = '{"ip":"198.51.100.77","process":{"name":"xmrig"}}';
      const one = await report('miner one', '--evidence', ip);
      const two = await report('miner two', '--evidence', '{"process":{"name":"xmrig"}}');
      const three = await report('miner three', '--evidence', ip);
      const idsOf = async (...args: string[]) =>
        (await json('list', ...args)).map(({ id }: { readonly id: string }) => id);
      expect(await idsOf('--search', 'evidence.ip:198.51.100.77', '--sort', 'created')).to.deep.equal([one, three]);
      expect(await idsOf('--search', 'xmrig', '--sort', '-created', '--assignee', 'none')).to.deep.equal([
        three,
        two,
        one,
      ]);
      await json('ack', two, '--by', 'ada', '--note', 'seen by the Würfel');
      expect(await idsOf('--search', 'wurfel by:ada')).to.deep.equal([two]);
      expect(await idsOf('--search', 'xmrig', '--by', 'ada', '--updated-since', '1h')).to.deep.equal([two]);
      expect(await idsOf('--search', 'xmrig', '--snoozed')).to.deep.equal([]);
      expect(await idsOf('--search', 'xmrig', '--no-snoozed')).to.have.length(3);
      const { stdout } = await recorder(['similar', one]);
      expect(stdout).to.match(new RegExp(`^${three} .* ip: 198\\.51\\.100\\.77, process\\.name: xmrig$`, 'm'));
      const [first, second] = await json('similar', one);
      expect([first.incident.id, second.incident.id]).to.deep.equal([three, two]);
      expect(second.same).to.deep.equal([{ path: 'process.name', value: 'xmrig' }]);
      expect((await recorder(['list', '--sort', 'nonsense'])).status).to.equal(2);
      expect((await recorder(['list', '--search', 'evidence.ip:'])).stderr).to.include('needs a value');
    });
  });

  describe('show', () => {
    it('shows the record, the deliveries, the place in the chart and the timeline', async () => {
      const id = await report('shown', '--evidence', '{"host":"203.0.113.7"}');
      await json('ack', id, '--by', 'ada', '--note', 'seen');
      const { stdout, status } = await recorder(['show', id]);
      expect(status).to.equal(0);
      expect(stdout)
        .to.match(/^description +shown$/m)
        .and.include('  "host": "203.0.113.7"');
      expect(stdout).to.match(/^freeze_agent +recorded +0/m);
      expect(stdout).to.match(/^● contained .*\n▶ acknowledged .*\n(?: {4}\w+ → \w+\n)* {4}resolve → resolved\n/m);
      expect(stdout).to.match(/^○ resolved$/m);
      expect(stdout).to.match(/incident\.acknowledged +acknowledged +by ada \(claimed\) as operator · seen$/m);
      const [{ incident, transitions, history }] = await json('show', id);
      expect(incident).to.include({ id, state: 'acknowledged' });
      expect(transitions).to.be.an('array');
      expect(history.at(-1)).to.include({ event: 'incident.acknowledged' });
    });

    it('never sends what a terminal obeys', async () => {
      const id = await report('\u001b[2J\u009b31m\u202e\r\n', '--evidence', '{"\\u001b]0;t\\u0007":"\\u009b"}');
      for (const args of [['show', id], ['list'], ['show', id, '--json'], ['list', '--json']]) {
        const { stdout } = await recorder(args);
        // oxlint-disable-next-line no-control-regex -- they are what this is about
        expect(stdout.replaceAll('\n', ''), args.join(' ')).not.to.match(/[\u0000-\u001f\u007f-\u009f\u202e]/);
      }
    });
  });

  describe('ack, resolve and contain', () => {
    it('tell what became of each, and go on after one that is refused', async () => {
      const [one, two] = [await report('one'), await report('two')];
      const { status, stdout, stderr } = await recorder(['resolve', one, 'INC-none', two, '--note', 'done']);
      expect(stdout.split('\n').map((line) => line.split('  ').slice(0, 3).join(' '))).to.deep.equal([
        `${one} high resolved`,
        `${two} high resolved`,
        '',
      ]);
      expect(stderr).to.equal('INC-none: there is no such incident; incident-recorder list shows them all\n');
      expect(status).to.equal(1);
    });

    it('say what is possible instead', async () => {
      const id = await report('acknowledged');
      await json('ack', id);
      expect((await recorder(['contain', id])).stdout).to.match(/^INC-\S+ {2}high {2}contained \(/);
      await json('resolve', id);
      const { status, stderr } = await recorder(['contain', id]);
      expect(stderr).to.match(/^INC-\S+: contain is not possible: the incident is resolved; nothing is left to do\n$/);
      expect(status).to.equal(1);
      const [outcome] = (await recorder(['contain', id, '--json'])).stdout.split('\n');
      expect(JSON.parse(outcome!)).to.include({ id, outcome: 'refused', status: 409 });
    });
  });

  describe('posture and stats', () => {
    it('claim nothing of what nobody confirms, and say since when it is overdue', async () => {
      const other = new ServiceHome(directory());
      const policy = join(other.directory, 'policy.yaml');
      writeFileSync(policy, 'version: 1\noverdue_after: 1s\n');
      const url = `unix:${join(other.directory, 'socket')}`;
      const patient = await RunningService.start(other, { env: { BIND_ADDR: url, CONTAINMENT_POLICY_PATH: policy } });
      const options = { env: { INCIDENT_RECORDER_URL: url, INCIDENT_RECORDER_TOKEN_PATH: other.token } };
      try {
        const { stdout: answered } = await recorder([...REPORT, 'nobody comes', '--json'], options);
        const { id } = JSON.parse(answered) as { readonly id: string };
        const shown = async (...args: readonly string[]): Promise<string> => (await recorder(args, options)).stdout;
        await until(async () => (await shown('posture')).includes('overdue'));
        expect(await shown('posture')).to.match(
          /^freeze_agent +overdue +\d+s +1 +poll +recorded, 1 overdue for \d+s +-$/m,
        );
        expect(await shown('list')).to.match(/contained \(overdue\)/);
        expect(await shown('show', id)).to.match(/^freeze_agent +overdue \(recorded\)/m);
        expect(await shown('show', id)).to.match(/containment\.overdue .*asked for/);
        expect(await shown('stats')).to.match(/^overdue +1$/m);
        await patient.post('/api/v1/containment/confirm', { action: 'freeze_agent', directive: 'engage' });
        expect(await shown('posture')).to.match(
          /^freeze_agent +in force +\d+s +1 +poll +confirmed +1 by confirmation, heard \d+s ago$/m,
        );
        const [one = ''] = await Promise.all(
          ['one model', 'another'].map(async (description) => {
            const { json: reported } = await patient.report({ class: 'model_behavior_anomaly', description });
            return reported.id as string;
          }),
        );
        const byHand = { action: 'quarantine_model', directive: 'engage', incident_id: one };
        await patient.post('/api/v1/containment/confirm', byHand);
        expect(await shown('posture')).to.match(/^quarantine_model +in force in part .* 1 needs_person +1 by conf/m);
      } finally {
        await patient.end('SIGKILL');
      }
    });

    it('show what is in force and what there is', async () => {
      await report('holds an action');
      const { stdout } = await recorder(['posture']);
      expect(stdout).to.match(/^ACTION +POSTURE +ASKED FOR +HOLDERS +VIA +DELIVERY +CARRIED OUT/);
      // On a busy machine it is overdue by now.
      expect(stdout).to.match(/^freeze_agent +(?:not known|overdue) +\d+[smh] +\d+ +poll +recorded\b/m);
      expect(stdout).to.match(/^disable_airlock +not asked +- +0 +poll +- +-$/m);
      expect((await json('posture'))[0].freeze_agent).to.include({ engaged: true });
      const [{ total_incidents }] = await json('stats');
      const [comparison] = await json('stats', '--compare', '--since', '1h', '--by', 'source');
      expect(comparison.incidents).to.deep.equal({ now: total_incidents, before: 0, change: total_incidents });
      expect(comparison.time_to.resolve.now.waiting).to.be.above(0);
      const { stdout: compared } = await recorder([
        'stats',
        '--compare',
        '--since',
        '2h',
        '--until',
        '1h',
        '--by',
        'hour',
      ]);
      expect(compared)
        .to.match(/^now .*: 0 incidents \(0\)$/m)
        .and.to.match(/^HOUR +NOW +BEFORE +CHANGE$/m);
      expect(compared).to.match(/^RESOLVED +before +0 +- +- +0 +-$/m);
      expect((await recorder(['stats', '--by', 'nonsense'])).status).to.equal(2);
      expect((await recorder(['stats'])).stdout).to.match(
        new RegExp(`^${total_incidents} incidents, \\d+ that nobody`),
      );
    });
  });

  describe('policy', () => {
    const edited = (from: RegExp, to: string): string => {
      const path = join(directory(), 'policy.yaml');
      writeFileSync(path, readPolicy().replace(from, to));
      return path;
    };

    it('check names every fault, and needs no recorder', async () => {
      expect(await run(['policy', 'check', POLICY])).to.include({ status: 0 });
      const path = edited(/quarantine_model, freeze_agent/, 'quarantine_modle');
      const { status, stderr } = await run(['policy', 'check', path]);
      expect(stderr).to.match(/policy\.yaml:\d+: rules\.manifest_mismatch\.actions\[0\]: unknown action/);
      expect(status).to.equal(1);
      const { stdout } = await run(['policy', 'check', path, '--json']);
      expect(JSON.parse(stdout).faults).to.have.length(1);
      expect(await run(['policy', 'check', `${path}.missing`])).to.include({ status: 1 });
    });

    it('check names what a file would take away from the policy in force, when it is asked to', async () => {
      const same = await recorder(['policy', 'check', POLICY, '--against-running']);
      expect(same.stdout).to.include('it takes nothing away from the policy in force');
      const path = edited(/(forbidden_airlock_request:|prompt_injection:)\n.*\n.*\n.*\n/g, '');
      expect((await recorder(['policy', 'check', path, '--against-running'])).stdout).to.match(
        /: valid, digest .*\nit takes away what the policy in force has:\n {2}rules.forbidden_airlock_request\n {2}rules.prompt_injection\n$/,
      );
      expect((await json('policy', 'check', path, '--against-running'))[0]).to.deep.include({
        valid: true,
        removed: ['rules.forbidden_airlock_request', 'rules.prompt_injection'],
      });
      const off = edited(/(prompt_injection:\n.*auto_contain: ).*\n(.*)\[freeze_agent, /, '$1false\n$2[');
      const [{ removed }] = await json('policy', 'check', off, '--against-running');
      expect(removed).to.deep.equal([
        'rules.prompt_injection.auto_contain',
        'rules.prompt_injection.actions.freeze_agent',
      ]);
      const nobody = { INCIDENT_RECORDER_URL: `unix:${join(home.directory, 'nobody')}` };
      expect(await run(['policy', 'check', POLICY, '--against-running'], { env: nobody })).to.include({ status: 3 });
    });

    it('diff shows what would change', async () => {
      expect(await recorder(['policy', 'diff', POLICY])).to.include({ status: 0, stdout: '' });
      const path = edited(/(prompt_injection:\n.*\n.*actions: ).*/, '$1[log_alert]');
      expect((await recorder(['policy', 'diff', path])).stdout).to.match(
        /^rules\.prompt_injection\.actions +freeze_agent, log_alert +log_alert$/m,
      );
      const [{ differences }] = await json('policy', 'diff', path);
      expect(differences).to.deep.equal([
        { place: 'rules.prompt_injection.actions', in_force: ['freeze_agent', 'log_alert'], file: ['log_alert'] },
      ]);
    });

    it('whatif lists what would have gone another way, and knows a reported severity from a decided one', async () => {
      const decided = await report('by the rule');
      const reported = await report('by the reporter', '--severity', 'high');
      const raised = await report('by the reporter, too', '--severity', 'critical');
      const path = edited(/(prompt_injection:\n(?:.*\n){2}.*default_severity: ).*/, '$1low');
      const changes = await json('policy', 'whatif', path);
      expect(changes.find(({ id }) => id === decided)).to.deep.include({
        was: { severity: 'high', contained: true, actions: ['freeze_agent', 'log_alert'] },
        would_be: { severity: 'low', contained: true, actions: ['freeze_agent', 'log_alert'] },
      });
      expect(changes.map(({ id }) => id)).not.to.include.members([reported]);
      expect(changes.map(({ id }) => id)).not.to.include.members([raised]);
      const { stdout, stderr } = await recorder(['policy', 'whatif', path]);
      expect(stdout).to.include(`${decided}  prompt_injection  high → low\n`);
      expect(stderr).to.match(/^\d+ of \d+ incidents would have gone another way\n$/);
      const recovering = edited(/(prompt_injection:\n)/, '$1    recovery: { acknowledge: true }\n');
      const [asked] = (await json('policy', 'whatif', recovering)).filter(({ id }) => id === decided);
      expect(asked).to.have.nested.property('would_be.recovery').that.deep.equals(['acknowledge']);
      expect(asked).to.not.have.nested.property('was.recovery');
      expect((await recorder(['policy', 'whatif', recovering])).stdout).to.include(
        `${decided}  prompt_injection  no recovery → recovery: acknowledge\n`,
      );
      expect((await recorder(['policy', 'diff', recovering])).stdout).to.match(
        /^rules\.prompt_injection\.recovery +- +\{"acknowledge":true\}$/m,
      );
      const open = edited(/(prompt_injection:\n.*auto_contain: ).*/, '$1false');
      expect((await recorder(['policy', 'whatif', open])).stdout).to.include(
        `${decided}  prompt_injection  contained (freeze_agent, log_alert) → open\n`,
      );
    });

    it('whatif tries escalate and repeat on all reports', async () => {
      const ids: string[] = [];
      for (let n = 0; n < 3; n++) {
        const [{ id }] = await json('report', '--class', 'tool_call_burst', '--source', 'whatif', '--description', 'd');
        ids.push(id);
      }
      const path = edited(/^( {2}tool_call_burst:\n)/m, '$1    repeat: { same: [source, description], within: 1h }\n');
      const escalate = 'escalate: [{ class: tool_call_burst, reports: 3, within: 60s, to: critical }]';
      writeFileSync(path, `${readFileSync(path, 'utf8')}\n${escalate}\n`);
      const { stdout, stderr } = await recorder(['policy', 'whatif', path]);
      expect(stdout).to.include(`${ids[2]}  tool_call_burst  an occurrence of ${ids[0]}\n`);
      expect(stdout).to.include(
        `${ids[0]}  tool_call_burst  medium → critical; escalated to critical by the rule tool_call_burst: 3 reports within 60 s\n`,
      );
      expect(stderr).to.match(/^\d+ incidents fewer by repeat\n\d+ incidents escalated to critical by the rule tool/m);
      const changes = await json('policy', 'whatif', path);
      expect(changes).to.deep.include({ id: ids[1], class: 'tool_call_burst', occurrence_of: ids[0] });
      expect(changes.at(-1).fewer_incidents).to.be.at.least(2);
      expect(changes.at(-1).escalate[0]).to.include({ class: 'tool_call_burst', reports: 3, within_ms: 60_000 });
    });
  });

  it('shows what webhooks did not take, and has it sent again', async () => {
    expect(await recorder(['webhooks', 'skipped'])).to.include({
      status: 0,
      stdout: '',
      stderr: 'nothing was skipped\n',
    });
    expect(await json('webhooks', 'skipped')).to.deep.equal([]);
    const unknown = await recorder(['webhooks', 'retry', 'http://127.0.0.1:9', '17']);
    expect(unknown).to.include({ status: 1 });
    expect(unknown.stderr).to.include('no such webhook');
    expect(await recorder(['webhooks', 'retry', 'http://127.0.0.1:9', 'x'])).to.include({ status: 2 });
  });

  describe('machines', () => {
    it('prints the statecharts', async () => {
      expect((await recorder(['machines'])).stdout.split('\n')).to.include('incident');
      expect(JSON.parse((await recorder(['machines', 'incident'])).stdout)).to.include({ id: 'incident' });
      expect((await recorder(['machines', 'incident', '--format', 'mermaid'])).stdout).to.match(/^stateDiagram-v2/);
      const { status, stderr } = await recorder(['machines', 'nonsense']);
      expect(stderr).to.match(/^there is no statechart nonsense; there are .*incident/);
      expect(status).to.equal(1);
    });
  });

  it('reads with the token where reads need it, and shows of addresses what may be known', async () => {
    const closed = new ServiceHome(directory());
    const policy = join(closed.directory, 'policy.yaml');
    const withPath = (path: string): string => `version: 1\nnotify: [{ url: "http://127.0.0.1:9/${path}" }]\n`;
    writeFileSync(policy, withPath('one'));
    const other = join(closed.directory, 'other.yaml');
    writeFileSync(other, withPath('two'));
    const url = { INCIDENT_RECORDER_URL: `unix:${join(closed.directory, 'socket')}` };
    const BIND_ADDR = url.INCIDENT_RECORDER_URL;
    const settings = { BIND_ADDR, CONTAINMENT_POLICY_PATH: policy };
    const token = { INCIDENT_RECORDER_TOKEN_PATH: closed.token };
    const none = { INCIDENT_RECORDER_TOKEN_PATH: join(closed.directory, 'nothing') };

    const open = await RunningService.start(closed, { env: settings });
    try {
      const whole = await run(['policy', 'diff', other], { env: { ...url, ...token } });
      expect(whole.stdout).to.include('http://127.0.0.1:9/one').and.include('http://127.0.0.1:9/two');
      const cut = await run(['policy', 'diff', other], { env: { ...url, ...none } });
      expect(`${cut.stdout}${cut.stderr}`).to.include('it differs in paths of addresses');
    } finally {
      await open.end('SIGKILL');
    }

    const guarded = await RunningService.start(closed, { env: { ...settings, READ_ACCESS: 'token' } });
    try {
      expect(await run(['posture'], { env: { ...url, ...token } })).to.include({ status: 0 });
      expect((await run(['posture'], { env: { ...url, ...none } })).status).to.equal(1);
    } finally {
      await guarded.end('SIGKILL');
    }
  });

  it('works over TCP, and says when there is nobody', async () => {
    const other = await RunningService.start(new ServiceHome(directory()));
    const url = `http://127.0.0.1:${other.port}`;
    expect(await run(['list', '--url', url])).to.deep.equal({ status: 0, stdout: '', stderr: 'no such incidents\n' });
    await other.end();
    for (const command of [['list'], ['ack', 'INC-1', '--token-file', home.token], ['watch'], ['posture']]) {
      const { status, stderr } = await run([...command, '--url', url]);
      expect(stderr).to.equal(
        `no recorder at ${url} (ECONNREFUSED): start it, or name it with --url or INCIDENT_RECORDER_URL\n`,
      );
      expect(status).to.equal(3);
    }
  });

  it('says what an address is', async () => {
    const { status, stderr } = await run(['list', '--url', 'localhost:8515']);
    expect(stderr).to.match(/^the URL of the recorder is http:\/\/host:port or unix:\/path, not "localhost:8515"/);
    expect(status).to.equal(2);
  });

  it('calls what takes the place of the recorder an impostor, and gives it nothing', async () => {
    const squatter = await Squatter.listen(0);
    const tokenPath = join(directory(), 'token');
    writeFileSync(tokenPath, 'a-token-for-a-squatter-0123');
    const stolen = {
      INCIDENT_RECORDER_URL: `http://127.0.0.1:${squatter.port}`,
      INCIDENT_RECORDER_TOKEN_PATH: tokenPath,
    };
    for (const args of [['list'], ['posture'], ['resolve', 'INC-1'], ['report', '--class', 'tool_call_burst']]) {
      const command = args[0] === 'report' ? [...args, '--source', 'cli', '--description', 'd'] : args;
      const { status, stdout, stderr } = await run(command, { env: stolen });
      expect({ status, stdout }, args[0]).to.deep.equal({ status: 3, stdout: '' });
      expect(stderr).to.match(/^(INC-1: )?impostor at http/);
    }
    expect(squatter).to.deep.include({ tokens: [], bodies: [] });
    // Then what resolving releases is read with the token as well.
    await run(['resolve', 'INC-1', '--no-prove'], { env: stolen });
    expect(squatter.tokens).to.have.length(2);
    await squatter.close();
  });

  it('says what is wrong with the token', async () => {
    const path = join(directory(), 'token');
    writeFileSync(path, 'another-token-0123456789');
    const wrong = await recorder(['ack', 'INC-1'], { env: { INCIDENT_RECORDER_TOKEN_PATH: path } });
    expect(wrong).to.include({ status: 3 });
    expect(wrong.stderr).to.match(/^impostor at .*--token-file/);
    const missing = await run(['ack', 'INC-1'], { env: { INCIDENT_RECORDER_URL: env.INCIDENT_RECORDER_URL! } });
    expect(missing.stderr).to.include('no token: name its file');
    expect(missing.status).to.equal(2);
  });

  it('says how it is used', async () => {
    const help = await run(['--help']);
    expect(help).to.include({ status: 0, stderr: '' });
    expect(help.stdout).to.include('resolve [options] [id...]').and.include('Exit codes:').and.not.include('complete ');
    for (const args of [
      [],
      ['nonsense'],
      ['show'],
      ['list', '--nonsense'],
      ['policy'],
      ['webhooks'],
      ['machines', '--format', 'x'],
    ]) {
      const { status, stdout } = await run(args);
      expect({ args, status, stdout }).to.deep.equal({ args, status: 2, stdout: '' });
    }
  });

  it('colours on a terminal, not with NO_COLOR, and fits its width', async () => {
    await report('a description that is much too long for a terminal of eighty columns, whatever is left out');
    /** Runs it on a terminal of its own: script(1). */
    const onTerminal = async (columns: number, more: Record<string, string>): Promise<string> => {
      const command = `stty cols ${columns}; exec ${process.execPath} ${COMMAND_LINE} list`;
      const { PATH = '' } = process.env;
      const child = spawn('script', ['-qec', command, '/dev/null'], {
        env: { PATH, TERM: 'xterm', ...env, ...more },
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      return text(child.stdout);
    };
    expect(await onTerminal(80, {})).to.include('\u001b[');
    const plain = await onTerminal(80, { NO_COLOR: '1' });
    expect(plain).not.to.include('\u001b');
    expect(plain).to.include('ID').and.not.include('DESCRIPTION');
    for (const line of plain.split('\r\n')) expect(line.length).to.be.at.most(80);
    expect(await onTerminal(140, { NO_COLOR: '1' })).to.match(/a description that is .*…/);
  });

  it('is quiet when who reads has had enough', async () => {
    const { PATH = '' } = process.env;
    const child = spawn('sh', ['-c', `${process.execPath} ${COMMAND_LINE} list --json | true`], {
      env: { PATH, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    expect(await text(child.stderr)).to.equal('');
  });

  it('loads neither SQLite nor fetch to read a list', async () => {
    const probe = `process.on('exit', () => process.stderr.write(process.moduleLoadList.join('\\n')))`;
    const { stderr } = await recorder(['list'], {
      env: { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(probe)}` },
    });
    expect(stderr)
      .to.include('NativeModule http')
      .and.not.match(/undici|sqlite/i);
  });
});

const readPolicy = (): string => readFileSync(POLICY, 'utf8');
