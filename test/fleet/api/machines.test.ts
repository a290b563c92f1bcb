import { readFileSync } from 'node:fs';
import { expect } from 'chai';
import type { FleetPrincipal } from '../../../src/fleet/access.ts';
import { LocalService } from '../../support/local-service.ts';
import { TOKEN } from '../../support/service-client.ts';
import { ServiceHome } from '../../support/service-home.ts';
import { temporaryDirectories } from '../../support/temporary-directory.ts';
import { FleetReads } from './support/fleet-reads.ts';

const PRINCIPALS: Readonly<Record<string, FleetPrincipal>> = {
  [TOKEN]: { name: 'ada', roles: ['reader', 'operator', 'auditor'], machines: 'any' },
  'berlins-token': { name: 'bert', roles: ['reader'], machines: { site: 'berlin' } },
  'reporters-token': { name: 'rita', roles: ['reporter'], machines: 'any' },
};

describe('The incidents of several machines', () => {
  const directory = temporaryDirectories();
  let fleet: FleetReads;
  let id: string;

  before(async () => {
    fleet = await FleetReads.start({ folder: undefined }, PRINCIPALS);
    const logs: string[][] = [];
    for (const source of ['tool-firewall', 'runtime-attestor']) {
      const home = new ServiceHome(directory());
      const recorder = await LocalService.start(home);
      for (let count = 0; count < 3; count++) {
        const { json } = await recorder.report({ source, evidence: { hash: 'abc' } });
        id = json.id as string;
      }
      await recorder.stop();
      logs.push(readFileSync(home.log, 'utf8').trimEnd().split('\n'));
    }
    await fleet.enrol('berlin-1', { site: 'berlin', rack: 'r1' });
    await fleet.enrol('berlin-2', { site: 'berlin', rack: 'r2' });
    await fleet.enrol('paris-1', { site: 'paris', rack: 'r1' });
    await fleet.take('berlin-1', logs[0]!);
    await fleet.take('berlin-2', logs[1]!);
    // A machine that was restored from the image of another one: the same identifiers.
    await fleet.take('paris-1', logs[1]!);
  });

  after(() => fleet?.stop());

  const machinesIn = async (query: string, token = TOKEN): Promise<readonly string[]> => {
    const { status, json, text } = await fleet.send('GET', `/api/v1/incidents${query}`, { token });
    expect(status, text).to.equal(200);
    return [...new Set((json as { machine: string }[]).map(({ machine }) => machine))].toSorted();
  };

  it('are in one list, each with its machine first', async () => {
    expect(await machinesIn('')).to.deep.equal(['berlin-1', 'berlin-2', 'paris-1']);
    const { text, headers } = await fleet.send('GET', '/api/v1/incidents');
    expect(text).to.match(/^\[\{"machine":"[a-z]+-\d","id":"INC-/);
    expect(headers['x-total-count']).to.equal('9');
  });

  it('are narrowed by machine and by labels', async () => {
    expect(await machinesIn('?machine=paris-1')).to.deep.equal(['paris-1']);
    expect(await machinesIn('?machine=paris-1&machine=berlin-1')).to.deep.equal(['berlin-1', 'paris-1']);
    expect(await machinesIn('?site=berlin')).to.deep.equal(['berlin-1', 'berlin-2']);
    expect(await machinesIn('?label.site=berlin&label.rack=r2')).to.deep.equal(['berlin-2']);
    expect(await machinesIn('?label.rack=r1&source=tool-firewall')).to.deep.equal(['berlin-1']);
    expect(await machinesIn('?site=rome')).to.deep.equal([]);
    expect(await machinesIn('?machine=nobody')).to.deep.equal([]);
  });

  it('are those that a principal may see, everywhere', async () => {
    const token = 'berlins-token';
    expect(await machinesIn('', token)).to.deep.equal(['berlin-1', 'berlin-2']);
    expect(await machinesIn('?site=paris', token)).to.deep.equal([]);
    expect(await machinesIn('?machine=paris-1', token)).to.deep.equal([]);
    const { headers } = await fleet.send('GET', '/api/v1/incidents', { token });
    expect(headers['x-total-count']).to.equal('6');
    expect((await fleet.send('GET', '/api/v1/stats', { token })).json.total_incidents).to.equal(6);
    const one = await fleet.send('GET', `/api/v1/incidents/get?id=${id}`, { token });
    expect(one.json.machine).to.equal('berlin-2');
    const similar = await fleet.send('GET', `/api/v1/incidents/similar?id=${id}`, { token });
    expect(new Set(similar.json.map(({ machine }: { machine: string }) => machine))).to.deep.equal(
      new Set(['berlin-1', 'berlin-2']),
    );
    for (const path of ['history', 'transitions', 'get', 'statechart']) {
      const hidden = await fleet.send('GET', `/api/v1/incidents/${path}?id=${id}&machine=paris-1`, { token });
      expect(hidden.status, path).to.equal(404);
    }
    expect((await fleet.send('GET', '/api/v1/containment?machine=paris-1', { token })).status).to.equal(404);
  });

  it('need a token of a reader', async () => {
    for (const path of ['incidents', 'stats', 'incidents/groups', 'events', 'silences', 'containment', 'access/me']) {
      expect((await fleet.get(`/api/v1/${path}`)).status, path).to.equal(403);
      const status = path === 'access/me' ? 200 : 403;
      expect((await fleet.send('GET', `/api/v1/${path}`, { token: 'reporters-token' })).status, path).to.equal(status);
    }
    const me = await fleet.send('GET', '/api/v1/access/me', { token: 'berlins-token' });
    expect(me.json).to.deep.equal({
      principal: 'bert',
      roles: ['reader'],
      shared: false,
      machines: { site: 'berlin' },
    });
  });

  it('must be named with the machine where two have the same identifier', async () => {
    const { status, json } = await fleet.send('GET', `/api/v1/incidents/get?id=${id}`);
    expect(status).to.equal(400);
    expect(json.machines).to.deep.equal(['berlin-2', 'paris-1']);
    const one = await fleet.send('GET', `/api/v1/incidents/get?id=${id}&machine=paris-1`);
    expect(one.json.machine).to.equal('paris-1');
    // Without a machine this is about all of them.
    expect((await fleet.send('GET', '/api/v1/containment')).json.freeze_agent).to.have.property('machines');
  });

  it('are grouped by machine as well', async () => {
    const { json } = await fleet.send('GET', '/api/v1/incidents/groups?by=machine,class');
    expect(json.map(({ machine, count }: { machine: string; count: number }) => [machine, count])).to.have.deep.members(
      [
        ['berlin-1', 3],
        ['berlin-2', 3],
        ['paris-1', 3],
      ],
    );
    const alone = await fleet.send('GET', '/api/v1/stats/groups?by=machine&site=berlin');
    expect(alone.headers['x-group-count']).to.equal('2');
  });

  it('follow each other on pages without a gap, in each order', async () => {
    for (const sort of ['severity', '-created', 'updated', 'source', '-assignee', 'state']) {
      const seen: string[] = [];
      for (let path: string | undefined = `/api/v1/incidents?sort=${sort}&limit=2`; path !== undefined;) {
        const { json, headers, text } = await fleet.send('GET', path);
        expect(json, text).to.be.an('array');
        seen.push(...json.map((one: { machine: string; id: string }) => `${one.machine} ${one.id}`));
        path = /^<([^>]+)>/.exec(String(headers.link ?? ''))?.[1];
      }
      expect(new Set(seen).size, sort).to.equal(9);
      expect(seen.length, sort).to.equal(9);
    }
  });

  it('come without evidence where a summary is asked for', async () => {
    const { json } = await fleet.send('GET', '/api/v1/incidents?fields=summary');
    expect(json[0]).to.include.keys('machine', 'id', 'description').and.not.have.any.keys('evidence', 'hash');
    expect((await fleet.send('GET', '/api/v1/incidents?fields=all')).status).to.equal(400);
  });

  it('belong to a process that says how it is', async () => {
    expect((await fleet.get('/readyz')).json).to.deep.equal({ status: 'ok' });
    expect((await fleet.get('/metrics')).status).to.equal(403);
    const { text } = await fleet.send('GET', '/metrics');
    expect(text).to.match(/^incident_fleet_machines 3$/m);
    expect(text).to.match(/^incident_fleet_alarms\{kind="log_diverged"\} 0$/m);
    const rules = readFileSync('systemd/incident-recorder.rules.yaml', 'utf8');
    for (const name of new Set(rules.match(/\bincident_fleet_[a-z_]+/g)))
      expect(text, name).to.include(`TYPE ${name} `);
  });
});
