/**
 * Where the policy sends containment actions and news, in the shapes that its `targets` and `notify` sections have once
 * they are read.
 */
import type { ContainmentAction, Directive, Channel } from '../../machines/vocabulary.ts';
import type { TargetUrl } from './target-url.ts';
import type { EntryEvent } from '../domain/entries.ts';

/** A request that carries out a directive; `action` is the word that the receiving service knows for it. */
export interface Endpoint {
  readonly url: TargetUrl;
  readonly action: string;
}

/** The appliance's file broker: requests are files in one directory, answers are files in another. */
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
  readonly timeout?: number | undefined;
  /** How often the service shows that it still obeys. */
  readonly confirm_every?: number | undefined;
}

export type Targets = { readonly [Action in ContainmentAction]?: Target | undefined };

/** A receiver of what is written into the audit log. */
export interface Webhook {
  readonly url: TargetUrl;
  readonly token_path?: string | undefined;
  /** The events that it is told of; all when not given. */
  readonly events?: readonly EntryEvent[] | undefined;
}

/** How a directive reaches the service that carries it out. */
export function channelOf(targets: Targets, action: ContainmentAction, directive: Directive): Channel {
  if (action === 'log_alert') return 'log';
  const target = targets[action];
  const isSent = directive === 'engage' ? (target?.engage ?? target?.broker) : target?.release;
  return isSent === undefined ? 'poll' : 'push';
}
