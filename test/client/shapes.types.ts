/**
 * The client's shapes are the types that the recorder validates and responds with. The compiler proves it: a proof
 * compiles only when each type is assignable to the other.
 */
import type * as z from 'zod/mini';
import type { confirmSchema } from '../../src/api/containment/requests.ts';
import type { reportSchema } from '../../src/api/incidents/requests.ts';
import type * as client from '../../src/client/shapes.ts';
import type { ActionView } from '../../src/containment/posture-reads.ts';
import type { Incident } from '../../src/domain/incident.ts';

type Same<One, Other> = [One, Other] extends [Other, One] ? true : never;

export type Proofs = [
  Proven<Same<client.Report, z.infer<typeof reportSchema>>>,
  Proven<Same<client.Incident, Incident>>,
  Proven<Same<client.Confirmation, z.infer<typeof confirmSchema>>>,
  Proven<Same<client.Posture, ActionView>>,
];

type Proven<Proof extends true> = Proof;
