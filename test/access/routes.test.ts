/**
 * Every route, asked by every role: what may be done with a token of which kind, as one table.
 *
 * A route that is not in the table fails by its name. Every cell is a request over HTTP: allowed, or 403 with the roles
 * that would be needed.
 */
import { join } from 'node:path';
import { expect } from 'chai';
import { ROLES, type Role } from '../../machines/vocabulary.ts';
import { EVERY_ROLE, type Principal } from '../../src/access/principal.ts';
import { routesOf } from '../../src/api/app.ts';
import type { ApiDependencies } from '../../src/api/dependencies.ts';
import type { ApiServer } from '../../src/api/server/api-server.ts';
import { ROOT } from '../support/programs.ts';
import { type Answer, ask, serve, stopServing } from '../api/support/client.ts';
import { KNOWN, standIn, TOKEN } from '../api/support/dependencies.ts';

/** What a route asks of whoever uses it. */
interface Row {
  /** One of these roles; nothing for what everybody may do. */
  readonly needs?: readonly Role[];
  /** Where reads need a token: what a read asks for then; nothing for what everybody may read. */
  readonly reads?: readonly Role[];
  /** The member of a principal that bounds it, in the role to which that applies. */
  readonly bound?: { readonly role: Role; readonly to: 'sources' | 'classes' | 'actions' };
  /** A request that is carried out. */
  readonly query?: string;
  readonly body?: object;
}

const READER: Row = { reads: ['reader'] };
const OF_INCIDENT: Row = { ...READER, query: `?id=${KNOWN.id}` };
const POSTURE: readonly Role[] = ['reader', 'implementer'];
const OPERATOR: Row = { needs: ['operator'], body: { id: KNOWN.id } };
const CONFIRMED = { action: 'freeze_agent', directive: 'engage' };
const RECOVERY: Row = { needs: ['recovery'], body: { incident_id: KNOWN.id } };
const ADMIN: Row = { needs: ['admin'] };

/** An incident of the appliance's recorder before this one. */
const CLAIMED = {
  id: 'INC-20260301-120000-0001',
  created_at: '2026-03-01T12:00:00Z',
  class: 'prompt_injection',
  severity: 'high',
  state: 'open',
  source: 'tool-firewall',
  description: 'a test',
};

const TABLE: Readonly<Record<string, Row>> = {
  'GET /health': {},
  'GET /livez': {},
  'GET /readyz': {},
  'GET /': {},
  'GET /console/:name': {},
  'GET /metrics': READER,
  'GET /api/v1/incidents': READER,
  'GET /api/v1/incidents/get': OF_INCIDENT,
  'GET /api/v1/incidents/similar': OF_INCIDENT,
  'GET /api/v1/incidents/history': OF_INCIDENT,
  'GET /api/v1/incidents/changes': { ...READER, query: '?after=0' },
  'GET /api/v1/incidents/transitions': OF_INCIDENT,
  'GET /api/v1/incidents/statechart': OF_INCIDENT,
  'GET /api/v1/incidents/groups': READER,
  'GET /api/v1/stats': READER,
  'GET /api/v1/stats/groups': READER,
  'GET /api/v1/stats/hours': READER,
  'GET /api/v1/stats/compare': READER,
  'GET /api/v1/silences': READER,
  'GET /api/v1/events': READER,
  'GET /api/v1/machines': READER,
  'GET /api/v1/machines/incident': READER,
  'GET /api/v1/machines/delivery': READER,
  'GET /api/v1/policy': READER,
  'GET /api/v1/webhooks/skipped': READER,
  'GET /api/v1/openapi.json': READER,
  'GET /api/v1/access/me': { needs: ROLES, reads: ROLES },
  'GET /api/v1/containment': { reads: POSTURE },
  'GET /api/v1/containment/preview': {
    reads: [...POSTURE, 'operator', 'recovery'],
    query: `?id=${KNOWN.id}&command=resolve`,
  },
  'GET /api/v1/containment/:action': { reads: POSTURE, bound: { role: 'implementer', to: 'actions' } },
  'POST /api/v1/incidents/report': {
    needs: ['reporter'],
    body: { class: 'prompt_injection', source: 'tool-firewall', description: 'a test' },
    bound: { role: 'reporter', to: 'classes' },
  },
  'POST /api/v1/incidents/contain': OPERATOR,
  'POST /api/v1/incidents/acknowledge': OPERATOR,
  'POST /api/v1/incidents/resolve': { ...OPERATOR, needs: ['operator', 'recovery'] },
  'POST /api/v1/incidents/note': { needs: ['operator', 'recovery'], body: { id: KNOWN.id, note: 'a test' } },
  'POST /api/v1/incidents/assign': { needs: ['operator', 'recovery'], body: { id: KNOWN.id, to: 'ada' } },
  'POST /api/v1/incidents/snooze': { ...OPERATOR, body: { id: KNOWN.id, until: null } },
  'POST /api/v1/incidents/reopen': OPERATOR,
  // Each report of a batch is bounded by itself.
  'POST /api/v1/incidents/reports': {
    needs: ['reporter'],
    body: [{ class: 'prompt_injection', source: 'tool-firewall', description: 'a test' }],
  },
  'POST /api/v1/incidents/bulk': {
    needs: ['operator', 'recovery'],
    body: { command: 'resolve', filter: { class: 'tool_call_burst' } },
  },
  'POST /api/v1/containment/confirm': {
    needs: ['implementer'],
    body: CONFIRMED,
    bound: { role: 'implementer', to: 'actions' },
  },
  'POST /api/v1/containment/release': {
    needs: ['operator', 'recovery'],
    body: { id: KNOWN.id, action: 'freeze_agent', reason: 'a test' },
  },
  'POST /api/v1/containment/retry': { ...OPERATOR, body: { action: 'freeze_agent' } },
  'POST /api/v1/recovery/ack': RECOVERY,
  'POST /api/v1/recovery/reattest': RECOVERY,
  'POST /api/v1/recovery/waive': { ...ADMIN, body: { incident_id: KNOWN.id, reason: 'a test' } },
  'GET /api/v1/recovery/status': { reads: ['reader', 'recovery'] },
  'GET /api/v1/forensic/export': { needs: ['auditor'], reads: ['auditor'] },
  'GET /api/v1/incidents/bundle': { needs: ['auditor'], reads: ['auditor'] },
  'POST /api/v1/heartbeat': {
    needs: ['reporter'],
    body: { source: 'tool-firewall' },
    bound: { role: 'reporter', to: 'sources' },
  },
  'POST /api/v1/drill': { needs: ['operator', 'admin'], body: { class: 'prompt_injection' } },
  'POST /api/v1/silences': {
    ...OPERATOR,
    body: { source: ['tool-firewall'], until: '2026-11-22T09:12:00.123Z', reason: 'a test' },
  },
  'POST /api/v1/silences/end': { ...OPERATOR, body: { id: 'SIL-20261122-000000000001' } },
  'POST /api/v1/webhooks/retry': { ...OPERATOR, body: { webhook: 'http://127.0.0.1:9/', seq: 1 } },
  'POST /api/v1/import': { ...ADMIN, body: { incidents: [CLAIMED] } },
  'POST /api/v1/archive': { ...ADMIN, body: { before: '2020-01-01T00:00:00Z' } },
  'GET /api/v1/log': { needs: ['anchor', 'auditor'], reads: ['anchor', 'auditor'] },
  'POST /api/v1/log/anchors': { needs: ['anchor'], body: { anchor: 'a note' } },
  'POST /api/v1/fleet/commands': { needs: ['anchor'], body: { command: 'a note' } },
  'POST /api/v1/log/acknowledge-damage': { ...ADMIN, body: { finding: 'checkpoint_removed' } },
  'POST /api/v1/reload': ADMIN,
  'POST /reload': ADMIN,
};

/** What the requests of the table are about, and something else. */
const BOUND_TO = { sources: ['tool-firewall'], classes: ['prompt_injection'], actions: ['freeze_agent'] } as const;
const BOUND_ELSEWHERE = {
  sources: ['canary-tripwire'],
  classes: ['integrity_violation'],
  actions: ['disable_airlock'],
} as const;

const BINDINGS = { 'not bound': {}, 'bound to it': BOUND_TO, 'bound to something else': BOUND_ELSEWHERE };
type Binding = keyof typeof BINDINGS;
const BOUND = Object.keys(BINDINGS) as readonly Binding[];

const nameOf = (role: Role, binding: Binding): string => `${role}, ${binding}`.replaceAll(' ', '-');

/** Somebody with each role alone, in each binding; the token is the name. */
const PRINCIPALS: ReadonlyMap<string, Principal> = new Map(
  ROLES.flatMap((role) =>
    Object.entries(BINDINGS).map(([binding, bounds]) => {
      const name = nameOf(role, binding as Binding);
      return [name, { name, roles: [role], ...bounds }] as const;
    }),
  ),
);

const access: ApiDependencies['access'] = {
  principalOf: (token) => (token === TOKEN ? EVERY_ROLE : PRINCIPALS.get(token ?? '')),
  proofKey: () => undefined,
};

const inService = (more: Partial<ApiDependencies> = {}): ApiDependencies =>
  standIn({
    access,
    openApi: join(ROOT, 'package.json'),
    events: { open: async (response) => void response.end() },
    logStreams: {
      open: async (response) => void response.end(),
      headers: () => ({}),
      from: () => Promise.reject(new Error('no log')),
    },
    ...more,
  });

const ROUTES = routesOf(standIn()).map(({ method, path }) => `${method} ${path}`);

/** Asks for what a row of the table is about. */
const tried = (server: ApiServer, route: string, token: string | undefined): Promise<Answer> => {
  const [method = '', path = ''] = route.split(' ');
  const { query = '', body } = TABLE[route] ?? {};
  const at = path.replace(':action', 'freeze_agent').replace(':name', 'main.js');
  return ask(server, at + query, {
    method,
    headers: {
      ...(token !== undefined && { Authorization: `Bearer ${token}` }),
      ...(body !== undefined && { 'Content-Type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
};

const expectAllowed = ({ status, text }: Answer): void => {
  expect(status, text).to.not.equal(403);
};

const expectRefused = ({ status, body }: Answer, needs: readonly Role[], role: Role): void => {
  expect(status, JSON.stringify(body)).to.equal(403);
  expect(body.needs).to.deep.equal(needs);
  expect(body.roles).to.deep.equal([role]);
  expect(body.error).to.match(/^forbidden: /);
  for (const name of needs) expect(body.error).to.include(name);
};

const expectOutOfBounds = ({ status, body }: Answer, role: Role, to: 'sources' | 'classes' | 'actions'): void => {
  expect(status, JSON.stringify(body)).to.equal(403);
  expect(body.needs).to.include(role);
  expect(body[to]).to.deep.equal(BOUND_ELSEWHERE[to]);
  expect(body.error).to.include(BOUND_ELSEWHERE[to].join(', ')).and.to.include(BOUND_TO[to].join(', '));
};

describe('the roles', () => {
  afterEach(stopServing);

  it('are said for every route, and for no other', () => {
    const rows = Object.keys(TABLE);
    expect(ROUTES.filter((route) => !rows.includes(route))).to.deep.equal([]);
    expect(rows.filter((route) => !ROUTES.includes(route))).to.deep.equal([]);
  });

  for (const route of ROUTES) {
    const { needs, reads, bound } = TABLE[route] ?? {};
    const isRead = route.startsWith('GET ');
    describe(`of ${route}`, () => {
      for (const role of ROLES) {
        const isAllowed = needs?.includes(role) ?? true;
        it(`${isAllowed ? 'admit' : 'refuse'} ${role}`, async () => {
          const server = await serve(inService());
          for (const binding of BOUND) {
            const answer = await tried(server, route, nameOf(role, binding));
            // Reads are bounded only where they need a token.
            const isBroken = binding === 'bound to something else' && bound?.role === role && !isRead;
            if (!isAllowed) expectRefused(answer, needs ?? [], role);
            else if (isBroken) expectOutOfBounds(answer, role, bound.to);
            else expectAllowed(answer);
          }
        });
        if (!isRead) continue;
        const mayRead = reads?.includes(role) ?? true;
        it(`${mayRead && isAllowed ? 'admit' : 'refuse'} ${role} where reads need a token`, async () => {
          const server = await serve(inService({ readAccess: 'token' }));
          for (const binding of BOUND) {
            const answer = await tried(server, route, nameOf(role, binding));
            const isBroken = binding === 'bound to something else' && bound?.role === role;
            if (!mayRead) expectRefused(answer, reads ?? [], role);
            else if (!isAllowed) expectRefused(answer, needs ?? [], role);
            else if (isBroken) expectOutOfBounds(answer, role, bound.to);
            else expectAllowed(answer);
          }
        });
      }

      it('are all those of the shared token', async () => {
        for (const readAccess of ['open', 'token'] as const) {
          expectAllowed(await tried(await serve(inService({ readAccess })), route, TOKEN));
        }
      });

      it('nobody has without a token that somebody has', async () => {
        for (const readAccess of ['open', 'token'] as const) {
          const server = await serve(inService({ readAccess }));
          for (const token of [undefined, 'nobody-has-this-token']) {
            const answer = await tried(server, route, token);
            if (needs === undefined && (readAccess === 'open' || reads === undefined)) expectAllowed(answer);
            else expect([answer.status, answer.body]).to.deep.equal([403, { error: 'forbidden' }]);
          }
        }
      });
    });
  }
});
