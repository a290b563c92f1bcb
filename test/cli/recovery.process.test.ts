import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { ATTESTATION_KEY, ATTESTOR_TOKEN, attesting, StandInAttestor } from '../support/attestor.ts';
import { RunningService, ServiceHome } from '../support/running-service.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';
import { run } from './support/command-line.ts';

const POLICY = `
version: 1
rules:
  attestation_failure:
    recovery: { acknowledge: true, attest: true }
  unauthorized_access:
    recovery: { acknowledge: true }
`;

describe('incident-recorder recovery', () => {
  const directory = temporaryDirectories();
  let attestor: StandInAttestor;
  let service: RunningService;
  let env: Record<string, string>;

  before(async () => {
    const home = new ServiceHome(directory());
    const file = (name: string, text: string): string => {
      const path = join(home.directory, name);
      writeFileSync(path, text, { mode: 0o600 });
      return path;
    };
    attestor = await StandInAttestor.listen();
    env = {
      INCIDENT_RECORDER_URL: `unix:${join(home.directory, 'socket')}`,
      INCIDENT_RECORDER_TOKEN_PATH: home.token,
    };
    service = await RunningService.start(home, {
      env: {
        BIND_ADDR: env.INCIDENT_RECORDER_URL!,
        CONTAINMENT_POLICY_PATH: file('policy.yaml', POLICY),
        RUNTIME_ATTESTOR_URL: attestor.url,
        RUNTIME_ATTESTOR_TOKEN_PATH: file('attestor-token', ATTESTOR_TOKEN),
        ATTESTATION_HMAC_KEY_PATH: file('attestation-key', ATTESTATION_KEY),
      },
    });
  });

  beforeEach(() => {
    attestor.behaviours = [attesting()];
  });

  after(async () => {
    await attestor.close();
    await service.end('SIGKILL');
  });

  const recorder = (...args: readonly string[]) => run(args, { env });

  const report = async (name = 'attestation_failure'): Promise<string> => {
    const { json } = await service.report({ class: name });
    return (json as { readonly id: string }).id;
  };

  const ACK = 'the role recovery, but not who reported it';

  it('is led by a resolve that is refused, by show and by status, to the end', async () => {
    const id = await report();
    const refused = await recorder('resolve', id);
    expect(refused.status).to.equal(1);
    expect(refused.stderr).to.equal(
      `${id}: recovery is incomplete:
  somebody acknowledges that the machine may be trusted again
    incident-recorder recovery ack ${id}  (${ACK})
  the attestor proves what the machine runs
    incident-recorder recovery reattest ${id}  (the role recovery)
  or it is waived
    incident-recorder recovery waive ${id} --reason <text>  (the role admin)
`,
    );

    const shown = await recorder('show', id);
    expect(shown.stdout).to.include(`
Recovery
○ acknowledge   missing: somebody acknowledges that the machine may be trusted again
    incident-recorder recovery ack ${id}  (${ACK})
○ attest        missing: the attestor proves what the machine runs
    incident-recorder recovery reattest ${id}  (the role recovery)
or it is waived
  incident-recorder recovery waive ${id} --reason <text>  (the role admin)
`);

    expect((await recorder('list')).stdout).to.match(
      new RegExp(`^${id} .* contained \\(delivering\\), needs recovery `, 'm'),
    );

    const status = await recorder('recovery', 'status', id);
    expect(status.status).to.equal(0);
    expect(status.stdout).to.match(/^ID +SEVERITY +CLASS +MISSING +SINCE +DONE\n/);
    expect(status.stdout).to.match(new RegExp(`${id} +critical +attestation_failure +acknowledge, attest +`));
    expect(status.stderr).to.include('attest: incident-recorder recovery reattest <id> (the role recovery)');

    const acknowledged = await recorder('recovery', 'ack', id, '--by', 'ada');
    expect(acknowledged).to.deep.equal({
      status: 0,
      stderr: '',
      stdout: `${id}: recovery acknowledged
  the attestor proves what the machine runs
    incident-recorder recovery reattest ${id}  (the role recovery)
  or it is waived
    incident-recorder recovery waive ${id} --reason <text>  (the role admin)
`,
    });

    const attested = await recorder('recovery', 'reattest', id);
    expect(attested).to.deep.equal({
      status: 0,
      stderr: '',
      stdout: `${id}: attested\n  incident-recorder resolve ${id}  (the role recovery)\n`,
    });
    const done = await recorder('show', id);
    expect(done.stdout).to.match(/\nRecovery\n● acknowledge {3}\S+Z by ada \(claimed\)\n● attest {8}\S+Z\n/);
    expect((await recorder('resolve', id)).status).to.equal(0);
  });

  it('shows what was wrong with an attestation, a line each, and where it failed', async () => {
    const id = await report();
    attestor.behaviours = [attesting({ state: 'degraded', failures: ['PCR 7 \u001b[31mmismatch'] })];
    const refused = await recorder('recovery', 'reattest', id);
    expect(refused.status).to.equal(1);
    expect(refused.stdout).to.equal('');
    const [first, second, third = '', ...rest] = refused.stderr.split('\n');
    expect(first).to.equal(`${id}: refused (409): the machine could not be attested`);
    expect(second).to.equal('  state is "degraded", not "attested"');
    expect(third)
      .to.match(/^ {2}the attestor says: PCR 7 .*mismatch$/)
      .and.not.include('\u001b');
    expect(rest).to.deep.equal(['']);
    const shown = await recorder('show', id);
    expect(shown.stdout).to.match(/ {2}the attestation of \S+Z failed:\n {4}state is "degraded", not "attested"\n/);
    const stranger = await run(['show', id], { env: { ...env, INCIDENT_RECORDER_TOKEN_PATH: '/nonexistent' } });
    expect(stranger.stdout).to.match(/ {2}the attestation of \S+Z failed; with a token it is said why\n/);
    expect(stranger.stdout).not.to.include('degraded"');
  });

  it('says that the attestor can’t be reached', async () => {
    const id = await report();
    attestor.behaviours = [(response) => response.writeHead(500).end()];
    const refused = await recorder('recovery', 'reattest', id);
    expect(refused.status).to.equal(1);
    expect(refused.stderr).to.include(`${id}: refused (503): `);
  });

  it('takes a waiver with its reason, and says so', async () => {
    const id = await report();
    const missing = await recorder('recovery', 'waive', id);
    expect(missing.status).to.equal(2);
    expect(missing.stderr).to.include("required option '--reason <text>' not specified");
    const waived = await recorder('recovery', 'waive', id, '--reason', 'the TPM is dead', '--by', 'eve');
    expect(waived.stdout).to.equal(`${id}: recovery waived\n  incident-recorder resolve ${id}  (the role recovery)\n`);
    const shown = await recorder('show', id);
    expect(shown.stdout).to.match(/● waived {8}\S+Z by eve \(claimed\): the TPM is dead\n/);
  });

  it('says that what was done is void after a further report', async () => {
    const { json } = await service.report({ class: 'unauthorized_access', dedup_key: 'same' });
    const { id } = json as { readonly id: string };
    await recorder('recovery', 'ack', id);
    await service.report({ class: 'unauthorized_access', dedup_key: 'same' });
    const shown = await recorder('show', id);
    expect(shown.stdout).to.match(/○ acknowledge {3}missing: .*\n.*\n {2}void since \S+Z: it was reported again\n/);
  });

  it('goes on after an incident that is refused, and gives scripts JSON', async () => {
    const id = await report('unauthorized_access');
    const other = await report('tool_call_burst');
    const { status, stdout } = await recorder('recovery', 'ack', other, id, '--json');
    expect(status).to.equal(1);
    const [first, second] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>);
    expect(first).to.include({ id: other, outcome: 'refused', status: 409 });
    expect(second).to.deep.include({ id, outcome: 'done', status: 'acknowledged' });
    const listed = await recorder('recovery', 'status', '--json');
    const ids = listed.stdout.split('\n').filter((line) => line !== '');
    expect(ids.map((line) => (JSON.parse(line) as { readonly incident_id: string }).incident_id)).to.not.include(id);
  });

  it('says where nothing is waited for', async () => {
    const id = await report('tool_call_burst');
    const { status, stdout, stderr } = await recorder('recovery', 'status', id);
    expect({ status, stdout }).to.deep.equal({ status: 1, stdout: '' });
    expect(stderr).to.equal(`${id}: refused (409): no recovery is asked for\n`);
    expect((await recorder('show', id)).stdout).not.to.include('Recovery');
  });

  it('completes the incidents that wait for it', async () => {
    const [waiting, other] = [await report('unauthorized_access'), await report('tool_call_burst')];
    const { stdout } = await recorder('complete', '--', 'recovery', 'ack', '');
    expect(stdout).to.include(`${waiting}\tcritical unauthorized_access: acknowledge\n`).and.not.include(other);
    const subcommands = await recorder('complete', '--', 'recovery', '');
    expect(subcommands.stdout.split('\n').map((line) => line.split('\t')[0])).to.include.members([
      'status',
      'ack',
      'reattest',
      'waive',
    ]);
  });
});
