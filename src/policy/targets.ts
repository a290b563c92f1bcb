/**
 * Where the policy sends containment actions and entries of the log: the shapes of its `targets` and `notify` sections
 * after parsing.
 */
import type { ContainmentAction, Directive, Channel } from '../../machines/vocabulary.ts';
import type { TargetUrl } from './target-url.ts';
import type { EntryEvent } from '../domain/entries.ts';

/** Where a directive is sent. */
export interface Endpoint {
  readonly url: TargetUrl;
  /** The receiving service's own word for the action. */
  readonly action: string;
}

/** The appliance's file broker: requests are files in one directory, results are files in another. */
export interface Broker {
  readonly requests: string;
  readonly results: string;
  readonly action: string;
}

/** The service that carries out one action. Times are in milliseconds. */
export interface Target {
  readonly engage?: Endpoint | undefined;
  readonly release?: Endpoint | undefined;
  readonly broker?: Broker | undefined;
  readonly token_path?: string | undefined;
  /** Whether what answers over TCP must prove that it knows the token, before anything is sent there. */
  readonly prove?: boolean | undefined;
  /** A file with the secret that requests are signed with. */
  readonly secret_path?: string | undefined;
  /** A file with the certificates of the authority that an https service is certified by; by default the system's. */
  readonly ca_path?: string | undefined;
  readonly timeout?: number | undefined;
  /** How often the service confirms that the action is still in force. */
  readonly confirm_every?: number | undefined;
  /** `callback`: the target may answer 202, and its service confirms later. By default its answer confirms. */
  readonly confirm?: 'answer' | 'callback' | undefined;
  /** The statuses of an answer after which it is not tried again; by default 400, 410, 413 and 422. */
  readonly final?: readonly number[] | undefined;
  /** Whether it takes part in drills: what it is sent then says that it is one. */
  readonly drill?: boolean | undefined;
}

export type Targets = { readonly [Action in ContainmentAction]?: Target | undefined };

/** A receiver of entries of the audit log. */
export interface Webhook {
  readonly url: TargetUrl;
  readonly token_path?: string | undefined;
  /** Whether what answers over TCP must prove that it knows the token, before anything is sent there. */
  readonly prove?: boolean | undefined;
  /** A file with the secret that requests are signed with. */
  readonly secret_path?: string | undefined;
  /** A file with the certificates of the authority that an https service is certified by; by default the system's. */
  readonly ca_path?: string | undefined;
  /** The events that it receives; by default all. */
  readonly events?: readonly EntryEvent[] | undefined;
  /** How often it is told that the recorder takes reports, in milliseconds; never when not given. */
  readonly heartbeat?: number | undefined;
}

/** The channel on which a directive reaches the service that carries it out. */
export function channelOf(targets: Targets, action: ContainmentAction, directive: Directive): Channel {
  if (action === 'log_alert') return 'log';
  const target = targets[action];
  const isSent = directive === 'engage' ? (target?.engage ?? target?.broker) : target?.release;
  return isSent === undefined ? 'poll' : 'push';
}
