/**
 * Where the policy sends containment actions and entries of the log: the shapes of its `targets` and `notify` sections
 * after parsing.
 */
import { BY_HAND, type ContainmentAction, type Directive, type Channel } from '../../machines/vocabulary.ts';
import type { TargetUrl } from './target-url.ts';
import type { ApplianceEvent } from '../domain/appliance-alert.ts';
import type { EntryEvent } from '../domain/entries.ts';
import type { Format, NoticeSettings, VendorFormat } from '../domain/notice.ts';

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
  /** Where a release is sent. `manual`: nothing there can be undone by a request, so a person does it by hand. */
  readonly release?: Endpoint | typeof BY_HAND | undefined;
  readonly broker?: Broker | undefined;
  readonly token_path?: string | undefined;
  /** Whether what answers over TCP must prove that it knows the token, before anything is sent there. */
  readonly prove?: boolean | undefined;
  /** A file with the secret that requests are signed with. */
  readonly secret_path?: string | undefined;
  /** A file with the certificates of the authority that an https service is certified by; by default the system's. */
  readonly ca_path?: string | undefined;
  /** How long an answer may take; by default 40 s, and 90 s with a broker. */
  readonly timeout?: number | undefined;
  /** How often the service confirms that the action is still in force. */
  readonly confirm_every?: number | undefined;
  /** `callback`: the target may answer 202, and its service confirms later. By default its answer confirms. */
  readonly confirm?: 'answer' | 'callback' | undefined;
  /** The statuses of an answer after which it is not tried again; by default 400, 410, 413 and 422. */
  readonly final?: readonly number[] | undefined;
  /** The statuses of an answer, besides 2xx, that say that it is already carried out; by default none. */
  readonly done_when?: readonly number[] | undefined;
  /** Whether it takes part in drills: what it is sent then says that it is one. */
  readonly drill?: boolean | undefined;
}

export type Targets = { readonly [Action in ContainmentAction]?: Target | undefined };

/** A receiver of entries of the audit log, or of notices that are made of them. */
export interface Webhook extends NoticeSettings {
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
  /** For a webhook of `alerting`: the events that it receives as the appliance's alerts, in place of entries. */
  readonly alerts?: readonly ApplianceEvent[] | undefined;
  /** How often it receives a heartbeat of the recorder, in milliseconds; never when not given. */
  readonly heartbeat?: number | undefined;
  /** What it is sent; by default entries. */
  readonly format?: Format | undefined;
  /** A file with the path of its URL, where that is a secret: it takes the place of the URL's own. */
  readonly url_path?: string | undefined;
  /** A file with the key of PagerDuty's integration. */
  readonly routing_key_path?: string | undefined;
}

/** A webhook that is sent notices in the form of a vendor. */
export type VendorWebhook = Webhook & { readonly format: VendorFormat };

export const isVendor = (webhook: Webhook): webhook is VendorWebhook =>
  webhook.format !== undefined && webhook.format !== 'entry';

/** The channel on which a directive reaches the service that carries it out. */
export function channelOf(targets: Targets, action: ContainmentAction, directive: Directive): Channel {
  if (action === 'log_alert') return 'log';
  const target = targets[action];
  if (directive === 'release' && target?.release === BY_HAND) return BY_HAND;
  const isSent = directive === 'engage' ? (target?.engage ?? target?.broker) : target?.release;
  return isSent === undefined ? 'poll' : 'push';
}
