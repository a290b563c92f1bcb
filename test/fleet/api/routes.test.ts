/** Every route of the recorder is one of the fleet, too, or is named here with the reason why it is the machine's alone. */
import { expect } from 'chai';
import { routesOf } from '../../../src/api/app.ts';
import { OWN_PATHS } from '../../../src/fleet/api/own-description.ts';
import type { FleetDependencies } from '../../../src/fleet/api/dependencies.ts';
import { readRoutes } from '../../../src/fleet/api/routes.ts';
import { systemClock } from '../../../src/clock.ts';
import { newSigner } from '../../../src/signed-note.ts';
import { standIn } from '../../api/support/dependencies.ts';

const SERVED_ELSEWHERE = 'the fleet’s core has one of its own';
const SERVICES = 'services of the machine send it to the recorder there';
const ADMINISTRATION = 'it is administration of one machine';
const ITS_OWN = 'it is between the machine and the fleet';

const ALONE: Readonly<Record<string, string>> = {
  'GET /health': SERVED_ELSEWHERE,
  'GET /livez': SERVED_ELSEWHERE,
  'GET /': SERVED_ELSEWHERE,
  'GET /console/:name': SERVED_ELSEWHERE,
  'GET /api/v1/machines/incident': 'its path is that of a machine: /api/v1/statecharts/incident',
  'GET /api/v1/machines/delivery': 'its path is that of a machine: /api/v1/statecharts/delivery',
  'GET /api/v1/policy': 'the fleet shows it as a diff: /api/v1/machines/NAME/policy',
  'GET /api/v1/webhooks/skipped': ADMINISTRATION,
  'POST /api/v1/incidents/report': SERVICES,
  'POST /api/v1/incidents/reports': SERVICES,
  'POST /api/v1/heartbeat': SERVICES,
  'POST /api/v1/containment/confirm': SERVICES,
  'POST /api/v1/drill': ADMINISTRATION,
  'POST /api/v1/webhooks/retry': ADMINISTRATION,
  'POST /api/v1/import': ADMINISTRATION,
  'POST /api/v1/archive': ADMINISTRATION,
  'POST /api/v1/log/anchors': ITS_OWN,
  'POST /api/v1/log/acknowledge-damage': ADMINISTRATION,
  'POST /api/v1/fleet/commands': ITS_OWN,
  'POST /api/v1/reload': ADMINISTRATION,
  'POST /reload': ADMINISTRATION,
};

const named = (routes: readonly { readonly method: string; readonly path: string }[]): readonly string[] =>
  routes.map(({ method, path }) => `${method} ${path}`);

describe('the routes of the fleet', () => {
  const dependencies = {
    db: {},
    access: { principalOf: () => undefined, proofKey: () => undefined },
    signer: newSigner('fleet.example'),
    clock: systemClock,
    log: { debug() {}, info() {}, warn() {}, error() {} },
    readAccess: 'token',
    silentAfter: 1,
  } as unknown as FleetDependencies;
  const fleet = new Set(named(readRoutes(dependencies)));

  it('are those of the recorder, but for what is the machine’s alone', () => {
    const missing = named(routesOf(standIn())).filter((route) => !fleet.has(route));
    expect(missing.toSorted()).to.deep.equal(Object.keys(ALONE).toSorted());
  });

  it('are described where the recorder does not describe them', () => {
    const recorder = new Set(named(routesOf(standIn())));
    const described = new Set(
      Object.entries(OWN_PATHS).flatMap(([path, operations]) =>
        Object.keys(operations).map((method) => `${method.toUpperCase()} ${path.replaceAll(/\{(\w+)\}/g, ':$1')}`),
      ),
    );
    // The charts have one route for each name.
    const missing = [...fleet].filter((route) => !recorder.has(route) && !described.has(route));
    expect(missing).to.deep.equal([]);
  });
});
