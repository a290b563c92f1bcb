/**
 * What services were asked to do and what incidents say about it, held against each other.
 *
 * Its services are real servers that outlive the recorder. They note every request, and answer as the test wants.
 */
import { randomInt } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AssertionError, expect } from 'chai';
import { CLASSES, type ContainmentAction } from '../../../machines/vocabulary.ts';
import type { Incident } from '../../../src/domain/incident.ts';
import type { Answer, RunningService, ServiceHome } from '../../support/running-service.ts';
import type { Received, Target } from '../../support/target.ts';
import { until } from './until.ts';

/** The actions that are sent. The others are fetched, by nobody. */
const SENT = ['freeze_agent', 'disable_airlock', 'quarantine_model'] as const satisfies ContainmentAction[];

interface Asked {
  readonly action: ContainmentAction;
  readonly directive: string;
  readonly incident: string;
  readonly key: string;
}

export class ContainmentLedger {
  readonly #target: Target;
  /** The incidents that the recorder has acknowledged. */
  readonly #acknowledged = new Set<string>();

  constructor(target: Target) {
    this.#target = target;
  }

  get acknowledged(): ReadonlySet<string> {
    return this.#acknowledged;
  }

  /** What services were asked, in that order. */
  get asked(): readonly Asked[] {
    return this.#target.received.map(askedBy);
  }

  /** Writes the policy that sends everything to the target; gives what tells the service of it. */
  policyIn(home: ServiceHome): { readonly CONTAINMENT_POLICY_PATH: string } {
    const path = join(home.directory, 'policy.yaml');
    const targets = SENT.map(
      (action) => `  ${action}:
    engage: { url: "${this.#target.url(`/${action}/engage`)}", action: engage }
    release: { url: "${this.#target.url(`/${action}/release`)}", action: release }
    timeout: 200ms
`,
    );
    writeFileSync(path, `version: 1\ntargets:\n${targets.join('')}`);
    return { CONTAINMENT_POLICY_PATH: path };
  }

  /** Lets reporters report and resolve, each until its connection breaks. */
  async load(service: RunningService, reporters = 4): Promise<void> {
    await Promise.all(Array.from({ length: reporters }, () => this.#reporter(service)));
  }

  /** Reports one incident. */
  async report(service: RunningService, incidentClass: string = CLASSES[randomInt(CLASSES.length)]!): Promise<string> {
    const evidence = { model_name: 'a-model' };
    const { status, json, text } = await service.report({ class: incidentClass, evidence });
    expect(status, text).to.equal(201);
    this.#acknowledged.add(json.id);
    return json.id;
  }

  /** Waits until every directive is carried out; asks for those that wait for their next attempt at once. */
  async settle(service: RunningService): Promise<void> {
    await until(async () => {
      const { json } = await service.send('GET', '/api/v1/containment');
      const left = SENT.filter((action) => !isSettled(json[action]));
      for (const action of left) await service.post('/api/v1/containment/retry', { action });
      return left.length === 0;
    });
  }

  /** What must hold when everything is carried out. */
  async expectCarriedOut(service: RunningService): Promise<void> {
    const incidents = await all(service);
    const asked = this.asked;
    const reached = new Set(asked.map(({ key }) => key));
    const known = new Set(incidents.map(({ id }) => id));
    for (const id of this.#acknowledged) expect(known.has(id), `${id} was acknowledged`).to.equal(true);

    const { json: posture } = await service.send('GET', '/api/v1/containment');
    for (const action of SENT) {
      const holders = incidents.filter((incident) => isHeldBy(incident, action));
      expect(posture[action].holders, action).to.equal(holders.length);
      const ids = holders.map(({ id }) => id);
      expect(ids).to.include.members(posture[action].held_by);
      expect(posture[action].held_by).to.have.length(Math.min(ids.length, 100));
      for (const incident of holders) {
        const delivery = incident.containment?.actions.find((one) => one.action === action);
        expect(delivery?.status, `${action} of ${incident.id}`).to.equal('confirmed');
        expect(reached, `${action} of ${incident.id}`).to.include(`${incident.id}-${action}-engage`);
      }
      const last = asked.findLast((one) => one.action === action);
      if (last !== undefined) {
        expect(last.directive, `the last word about ${action}`).to.equal(holders.length > 0 ? 'engage' : 'release');
      }
    }
    this.#expectOneKeyEach(asked);
    this.#expectOrder(asked);
  }

  /** No directive is ever sent under two keys, and no two under one. */
  #expectOneKeyEach(asked: readonly Asked[]): void {
    const keys = new Map<string, string>();
    for (const { action, directive, incident, key } of asked) {
      const name = JSON.stringify([incident, action, directive]);
      expect(key, `the key of ${name}`).to.equal(keys.get(name) ?? key);
      keys.set(name, key);
    }
    expect(new Set(keys.values()).size).to.equal(keys.size);
  }

  /** A release never overtakes the engage of its incident. */
  #expectOrder(asked: readonly Asked[]): void {
    const released = new Set<string>();
    for (const { action, directive, incident } of asked) {
      const name = `${action} ${incident}`;
      if (directive === 'release') released.add(name);
      else expect(released, `${name} engaged after its release`).to.not.include(name);
    }
  }

  async #reporter(service: RunningService): Promise<void> {
    const mine: string[] = [];
    try {
      for (;;) {
        mine.push(await this.report(service));
        // About as many are resolved as are reported, so that actions are released and engaged again.
        const id = mine.length > 1 || randomInt(2) === 0 ? mine.shift() : undefined;
        if (id !== undefined) await service.post('/api/v1/incidents/resolve', { id });
      }
    } catch (error) {
      // The connection broke; anything else is a finding.
      if (error instanceof AssertionError) throw error;
    }
  }
}

const askedBy = ({ path, headers, body }: Received): Asked => {
  const [, action, directive] = path.split('/');
  expect(headers['containment-directive']).to.equal(directive);
  return {
    action: action as ContainmentAction,
    directive: directive!,
    incident: body.incident_id,
    key: String(headers['idempotency-key']),
  };
};

/** Whether everything that is asked of an action now has been carried out. */
const isSettled = ({ holders, delivery }: { holders: number; delivery: Answer['json'] }): boolean =>
  delivery === null || delivery.counts.confirmed === Math.max(holders, 1);

const isHeldBy = ({ state, containment_actions: actions = [] }: Incident, action: ContainmentAction): boolean =>
  state !== 'resolved' && actions.includes(action);

/** All incidents. */
async function all(service: RunningService): Promise<readonly Incident[]> {
  const found: Incident[] = [];
  let path: string | undefined = '/api/v1/incidents?limit=1000';
  while (path !== undefined) {
    const { json, headers }: Answer = await service.send('GET', path);
    found.push(...json);
    path = /<([^>]+)>; rel="next"/.exec(String(headers.link))?.[1];
  }
  return found;
}
