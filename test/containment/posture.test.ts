import { expect } from 'chai';
import { ACTIONS } from '../../machines/vocabulary.ts';
import { type LocalService, localServices } from '../support/local-service.ts';
import { ServiceHome } from '../support/service-home.ts';
import { temporaryDirectories } from '../support/temporary-directory.ts';

const PATH = '/api/v1/containment';
const burst = { class: 'tool_call_burst' };

describe('the posture over HTTP', () => {
  const start = localServices();
  const directory = temporaryDirectories();
  let service: LocalService;

  beforeEach(async () => {
    service = await start(new ServiceHome(directory()));
  });

  const frozen = () => service.get(`${PATH}/freeze_agent`);
  const knowing = (etag: unknown, path = `${PATH}/freeze_agent`) =>
    service.send('GET', path, { token: null, headers: { 'if-none-match': String(etag) } });
  const confirm = (body: object) => service.post(`${PATH}/confirm`, body);
  const retry = (body: object) => service.post(`${PATH}/retry`, body);
  const resolve = (id: string) => service.post('/api/v1/incidents/resolve', { id });

  it('shows each action, and one by its name, without a token', async () => {
    const { id } = (await service.report(burst)).json;
    const { status, json, headers } = await service.get(PATH);
    expect(status).to.equal(200);
    expect(Object.keys(json)).to.deep.equal([...ACTIONS]);
    expect(headers['cache-control']).to.equal('no-cache');
    expect(json.disable_airlock).to.deep.equal({
      action: 'disable_airlock',
      engaged: false,
      since: null,
      asked: null,
      carried_out: null,
      not_known: null,
      holders: 0,
      held_by: [],
      via: 'poll',
      heard_at: null,
      delivery: null,
    });
    expect((await frozen()).json).to.deep.equal(json.freeze_agent);
    expect(json.freeze_agent).to.deep.include({ engaged: true, holders: 1, held_by: [id], via: 'poll' });
    expect(json.freeze_agent.delivery).to.deep.include({
      incident: id,
      directive: 'engage',
      status: 'recorded',
      counts: { recorded: 1 },
    });
  });

  it('keeps apart what is asked for, what is carried out, and what is not known', async () => {
    const read = async () => {
      const { asked, carried_out, not_known } = (await frozen()).json;
      return { asked, carried_out, not_known };
    };
    const { id: one, created_at } = (await service.report(burst)).json;
    const asked = { directive: 'engage', since: created_at };
    const oldest = { overdue: 0, oldest_asked_at: created_at };
    expect(await read()).to.deep.equal({ asked, carried_out: null, not_known: { incidents: 1, ...oldest } });
    await confirm({ action: 'freeze_agent', directive: 'engage' });
    const done = await read();
    expect(done).to.deep.include({ asked, not_known: null });
    expect(done.carried_out).to.include({ incidents: 1, by: 'confirmation' });
    expect(done.carried_out.heard_at).to.equal(done.carried_out.at);
    const { id: two } = (await service.report(burst)).json;
    expect((await read()).carried_out).to.deep.equal(done.carried_out);
    expect((await read()).not_known).to.include({ incidents: 1 });
    await confirm({ action: 'freeze_agent', directive: 'engage', observed: 'released' });
    expect((await read()).carried_out).to.equal(null);
    for (const id of [one, two]) await resolve(id);
    expect(await read()).to.deep.include({ carried_out: null });
    expect((await read()).not_known).to.include({ incidents: 1, overdue: 0 });
    await confirm({ action: 'freeze_agent', directive: 'release' });
    expect(await read()).to.deep.include({ not_known: null });
    expect((await read()).carried_out).to.include({ incidents: 1, by: 'confirmation' });
  });

  it('is held by acknowledged incidents, not released by one of two, and released with the last', async () => {
    const [one, two] = [(await service.report(burst)).json.id, (await service.report(burst)).json.id];
    const { since } = (await frozen()).json;
    await service.post('/api/v1/incidents/acknowledge', { id: one });
    await resolve(two);
    expect((await frozen()).json).to.deep.include({ engaged: true, since, holders: 1, held_by: [one] });
    await resolve(one);
    const released = (await frozen()).json;
    expect(released).to.deep.include({ engaged: false, holders: 0, held_by: [] });
    expect(released.delivery).to.include({ incident: one, directive: 'release', status: 'recorded' });
    expect(Date.parse(released.since)).to.be.at.least(Date.parse(since));
  });

  it('names the oldest hundred of its holders and counts them all', async () => {
    const ids: string[] = [];
    for (let n = 0; n < 101; n++) ids.push((await service.report(burst)).json.id);
    expect((await frozen()).json).to.deep.include({ holders: 101, held_by: ids.slice(0, 100) });
  });

  it('given an unknown action, then 404, naming the five', async () => {
    const { status, json } = await service.get(`${PATH}/reboot`);
    expect(status).to.equal(404);
    expect(json.allowed).to.deep.equal([...ACTIONS]);
    for (const name of ACTIONS) expect(json.error).to.contain(name);
  });

  it('is not sent again to who knows it, until it changes', async () => {
    const { etag } = (await frozen()).headers;
    const all = (await service.get(PATH)).headers.etag;
    const same = await knowing(etag);
    expect({ status: same.status, text: same.text, etag: same.headers.etag }).to.deep.equal({
      status: 304,
      text: '',
      etag,
    });
    await service.report({ class: 'forbidden_airlock_request' });
    expect((await knowing(etag)).status).to.equal(304);
    await service.report({ class: 'model_behavior_anomaly' });
    expect((await knowing(etag)).status, 'another action').to.equal(304);
    expect((await knowing(all, PATH)).status, 'all of them').to.equal(200);
    await service.report(burst);
    expect((await knowing(etag)).status).to.equal(200);
  });

  it('has the same ETag after a restart, whether the service was stopped or killed', async () => {
    const home = new ServiceHome(directory());
    const first = await start(home);
    await first.report(burst);
    const { etag } = (await first.get(PATH)).headers;
    const killed = await start(home.copyTo(directory()));
    expect((await killed.get(PATH)).headers.etag).to.equal(etag);
    await first.stop();
    const stopped = await start(home);
    expect((await stopped.get(PATH)).headers.etag).to.equal(etag);
  });

  describe('asked to wait', () => {
    it('answers when it changes', async () => {
      const { etag } = (await frozen()).headers;
      const waiting = knowing(etag, `${PATH}/freeze_agent?wait=60`);
      const all = service.get(`${PATH}?wait=60`);
      await service.get('/health');
      const { id } = (await service.report(burst)).json;
      const answer = await waiting;
      expect(answer.status).to.equal(200);
      expect(answer.json).to.deep.include({ engaged: true, held_by: [id] });
      expect(answer.headers.etag).to.not.equal(etag);
      expect((await all).json.freeze_agent.engaged).to.equal(true);
      expect((await knowing(answer.headers.etag)).status, 'its ETag is that of its content').to.equal(304);
    });

    it('answers at once what is not known yet', async () => {
      await service.report(burst);
      expect((await knowing('"0po"', `${PATH}/freeze_agent?wait=60`)).status).to.equal(200);
    });

    it('answers 304 when the time is over, whatever else happens meanwhile', async () => {
      const since = performance.now();
      const waiting = service.get(`${PATH}/freeze_agent?wait=1`);
      await service.report({ class: 'model_behavior_anomaly' });
      expect((await waiting).status).to.equal(304);
      expect(performance.now() - since).to.be.at.least(990);
    });

    it('also notices receipts', async () => {
      await service.report(burst);
      const { etag } = (await frozen()).headers;
      const waiting = knowing(etag, `${PATH}/freeze_agent?wait=60`);
      await confirm({ action: 'freeze_agent', directive: 'engage' });
      expect((await waiting).json.delivery.status).to.equal('confirmed');
    });

    it('answers all that wait when the service stops', async () => {
      const waiting = Array.from({ length: 10 }, () => service.get(`${PATH}?wait=60`));
      await service.get('/health');
      const stopped = service.stop();
      for (const answer of waiting) expect((await answer).status).to.equal(304);
      await stopped;
    });

    it('lets 64 wait and refuses more, until one of them has left', async () => {
      const waiting = Array.from({ length: 64 }, () => service.get(`${PATH}/freeze_agent?wait=60`));
      let refused = await service.get(`${PATH}/freeze_agent?wait=1`);
      while (refused.status === 304) refused = await service.get(`${PATH}/freeze_agent?wait=1`);
      expect(refused.status).to.equal(503);
      expect(refused.headers['retry-after']).to.match(/^\d+$/);
      expect((await frozen()).status, 'without waiting').to.equal(200);
      // Who has the token has places that strangers can't take.
      expect((await service.send('GET', `${PATH}/freeze_agent?wait=1`)).status).to.equal(304);
      await service.report(burst);
      for (const answer of waiting) expect((await answer).status).to.equal(200);
      expect((await service.get(`${PATH}/freeze_agent?wait=1`)).status).to.equal(304);
    });

    it('refuses any time but one from 1 to 60 seconds', async () => {
      for (const wait of ['0', '61', '1.5', '-1', 'soon', '+', '1&wait=2', '1&weight=2']) {
        expect((await service.get(`${PATH}/freeze_agent?wait=${wait}`)).status, wait).to.equal(400);
      }
    });
  });

  describe('a service that comes for what it has to do', () => {
    it('confirms, is seen to have confirmed, and can be contradicted by itself', async () => {
      const { id } = (await service.report(burst)).json;
      const engaged = await confirm({ action: 'freeze_agent', directive: 'engage', observed: 'engaged' });
      expect(engaged.json).to.deep.equal({
        action: 'freeze_agent',
        directive: 'engage',
        confirmed: 1,
        lost: 0,
        remaining: 0,
      });
      expect((await frozen()).json.delivery).to.deep.include({
        status: 'confirmed',
        receipt: { by: 'confirmation', observed: 'engaged' },
      });
      const contradicted = await confirm({ action: 'freeze_agent', directive: 'engage', observed: 'released' });
      expect(contradicted.json).to.include({ confirmed: 0, lost: 1 });
      const { json } = await service.get(`/api/v1/incidents/get?id=${id}`);
      expect(json.containment.status).to.equal('degraded');
      const history = (await service.get(`/api/v1/incidents/history?id=${id}`)).json;
      expect(history.map(({ event }: { event: string }) => event)).to.deep.equal([
        'incident.reported',
        'containment.confirmed',
        'containment.lost',
        'alert.raised',
      ]);
    });

    it('learns what is wrong with its confirmation', async () => {
      await service.report(burst);
      for (const [what, body, status] of [
        ['no body', '', 400],
        ['an unknown action', { action: 'reboot', directive: 'engage' }, 400],
        ['no directive', { action: 'freeze_agent' }, 400],
        ['an unknown directive', { action: 'freeze_agent', directive: 'freeze' }, 400],
        ['an unknown observation', { action: 'freeze_agent', directive: 'engage', observed: 'frozen' }, 400],
        ['a field that does not belong there', { action: 'freeze_agent', directive: 'engage', by: 'me' }, 400],
        ['an empty incident', { action: 'freeze_agent', directive: 'engage', incident_id: '' }, 400],
        ['an unknown incident', { action: 'freeze_agent', directive: 'engage', incident_id: 'INC-1' }, 404],
        ['a directive that is not in force', { action: 'freeze_agent', directive: 'release' }, 409],
        ['an action that is not in force', { action: 'disable_airlock', directive: 'engage' }, 409],
      ] as const) {
        const answer = await confirm(body as object);
        expect(answer.status, `${what}: ${answer.text}`).to.equal(status);
        expect(answer.json.error).to.be.a('string');
      }
    });

    it('and an operator what is wrong with a retry', async () => {
      for (const [what, body, status] of [
        ['no action', {}, 400],
        ['an unknown action', { action: 'reboot' }, 400],
        ['a field that does not belong there', { action: 'freeze_agent', directive: 'engage' }, 400],
        ['an unknown incident', { action: 'freeze_agent', incident_id: 'INC-1' }, 404],
      ] as const) {
        const answer = await retry(body);
        expect(answer.status, `${what}: ${answer.text}`).to.equal(status);
      }
    });

    it('gets 409 for a retry of what is not broken, and 200 where nothing has to be tried', async () => {
      const { id } = (await service.report(burst)).json;
      expect((await retry({ action: 'freeze_agent', incident_id: id })).status).to.equal(409);
      expect((await retry({ action: 'freeze_agent' })).json).to.deep.equal({
        action: 'freeze_agent',
        retried: 0,
        remaining: 0,
      });
    });

    it('needs the token', async () => {
      await service.report(burst);
      for (const token of [null, 'another-token-0123456789']) {
        for (const route of ['confirm', 'retry']) {
          const body = { action: 'freeze_agent', directive: 'engage' };
          expect((await service.post(`${PATH}/${route}`, body, { token })).status).to.equal(403);
        }
      }
      expect((await frozen()).json.delivery.status).to.equal('recorded');
    });
  });
});
