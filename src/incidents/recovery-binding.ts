import { createHash } from 'node:crypto';
import { bindingForm, type BoundTo } from '../domain/recovery.ts';

/** The digest that the recovery of an incident is bound to: lower-case hex SHA-256. */
export const bindingOf = (incident: BoundTo): string =>
  createHash('sha256').update(bindingForm(incident)).digest('hex');
