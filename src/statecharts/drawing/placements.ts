/** The hints for each machine. A state or a transition without one fails the build by name. */
import type { Placement, Tail } from './placement.ts';

const incident: Placement = {
  states: {
    open: { column: 0, row: 0, fill: true },
    acknowledged: { column: 0, row: 1, fill: true },
    contained: { column: 1, row: 0, rows: 2, fill: true },
    resolved: { column: 0, row: 2, columns: 2 },
    'contained.delivering': { column: 1, row: 0 },
    'contained.degraded': { column: 0, row: 1 },
    'contained.overdue': { column: 1, row: 1 },
    'contained.confirmed': { column: 2, row: 1 },
  },
  initial: { open: 'top', 'contained.delivering': 'left' },
  lines: {
    'open:always': { from: 'right', to: 'left', gap: 1, beside: 'open' },
    'contained:release': { from: 'left', to: 'right', gap: 1, beside: 'open' },
    'open:contain': { from: 'right', to: 'left', gap: 1, beside: 'open' },
    'acknowledged:contain': { from: 'right', at: 0.5, via: [[1, 0]] },
    'acknowledged:recur:2': { from: 'top', to: 'bottom', gap: 1, beside: 'open' },
    'acknowledged:wake': { like: 'acknowledged:recur:2' },
    'open:acknowledge': { from: 'bottom', to: 'top', gap: 1, beside: 'open' },
    'open:snooze': { like: 'open:acknowledge' },
    'contained:acknowledge': { from: 'left', into: 'right' },
    'contained:snooze': { like: 'contained:acknowledge' },
    'open:resolve': { from: 'left', at: 0.5, via: [[0, -1]], into: 'left' },
    'acknowledged:resolve': { from: 'bottom', to: 'top', gap: 2, beside: 'acknowledged' },
    'contained:resolve': { from: 'bottom', at: 0.5, into: 'right' },
    'contained:recur:2': { from: 'right', to: 'right', column: 2, beside: 'contained.delivering' },
    'contained:delivery': { like: 'contained:recur:2' },
    'contained:contain': { like: 'contained:recur:2' },
    'contained:release:2': { like: 'contained:recur:2' },
    'contained.delivering:always': {
      from: 'bottom',
      at: 0.2,
      via: [[1, 0]],
      to: 'top',
      gap: 1,
      beside: 'contained.degraded',
    },
    'contained.delivering:always:2': { from: 'bottom', to: 'top', gap: 1, beside: 'contained.overdue' },
    'contained.delivering:always:3': {
      from: 'bottom',
      at: 0.8,
      via: [[1, 0]],
      to: 'top',
      gap: 1,
      beside: 'contained.confirmed',
    },
  },
};

/** From all states in which a delivery waits, and from all in which it has come to nothing. */
const WAITING = { frame: 'waiting', from: 'right' } as const;
const BROKEN = { frame: 'broken' } as const;

const CONFIRM_BROKEN: Tail = { ...BROKEN, from: 'left', at: 0.1, into: 'bottom' };
const SUPERSEDE_BROKEN: Tail = { ...BROKEN, from: 'bottom' };
const RETRY_BROKEN: Tail = {
  ...BROKEN,
  from: 'right',
  at: 0.5,
  via: [
    [3, 0],
    [5, 0],
  ],
  into: 'bottom',
};

const delivery: Placement = {
  states: {
    begun: { column: 0, row: 0 },
    pending: { column: 1, row: 0 },
    delivering: { column: 1, row: 1, rows: 2 },
    recorded: { column: 1, row: 3, rows: 2 },
    confirmed: { column: 2, row: 0 },
    lost: { column: 2, row: 1 },
    failed: { column: 2, row: 2 },
    needs_person: { column: 2, row: 3 },
    superseded: { column: 2, row: 4 },
  },
  initial: { begun: 'top' },
  frames: { waiting: ['pending', 'delivering', 'recorded'], broken: ['lost', 'failed', 'needs_person'] },
  lines: {
    'begun:always': { from: 'right', to: 'left', gap: 1, beside: 'pending' },
    'begun:always:2': { from: 'left', at: 0.5, via: [[0, -1]], into: 'left', to: 'left', gap: 1, beside: 'recorded' },
    'pending:miss': { from: 'bottom', to: 'top', gap: 1, beside: 'pending' },
    'pending:miss:2': { from: 'right', at: 0.7, via: [[2, 0]] },
    'delivering:miss:2': { from: 'right', to: 'left', gap: 2, beside: 'failed' },
    'pending:refuse': { ...WAITING, to: 'left', gap: 2, beside: 'needs_person' },
    'delivering:refuse': WAITING,
    'recorded:refuse': WAITING,
    'pending:refuse:2': { ...WAITING, to: 'left', gap: 2, beside: 'failed' },
    'delivering:refuse:2': WAITING,
    'recorded:refuse:2': WAITING,
    'pending:confirm': { ...WAITING, to: 'left', gap: 2, beside: 'confirmed' },
    'delivering:confirm': WAITING,
    'recorded:confirm': WAITING,
    'lost:confirm': CONFIRM_BROKEN,
    'failed:confirm': CONFIRM_BROKEN,
    'needs_person:confirm': CONFIRM_BROKEN,
    'delivering:retry': { from: 'left', at: 0.5, into: 'bottom', to: 'bottom', gap: 1, beside: 'begun' },
    'recorded:retry': { from: 'left', at: 0.25, into: 'bottom' },
    'lost:retry': RETRY_BROKEN,
    'failed:retry': RETRY_BROKEN,
    'needs_person:retry': RETRY_BROKEN,
    'pending:supersede': { ...WAITING, into: 'left' },
    'delivering:supersede': { ...WAITING, into: 'left' },
    'recorded:supersede': { ...WAITING, into: 'left' },
    'lost:supersede': { ...SUPERSEDE_BROKEN, to: 'top', gap: 4, beside: 'superseded' },
    'failed:supersede': SUPERSEDE_BROKEN,
    'needs_person:supersede': SUPERSEDE_BROKEN,
    'confirmed:lose': { from: 'bottom', to: 'top', gap: 1, beside: 'confirmed' },
  },
};

export const PLACEMENTS: Readonly<Record<string, Placement>> = { incident, delivery };
