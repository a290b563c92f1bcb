/** Sends a notice to the service of a vendor. */
import { SECOND } from '../../clock.ts';
import type { VendorFormat } from '../../domain/notice.ts';
import type { TargetUrl } from '../../policy/target-url.ts';
import type { VendorWebhook } from '../../policy/targets.ts';
import type { AttemptResult } from '../attempt-result.ts';
import { briefly, readPath, readToken, send, unnamed } from '../http-target.ts';

/** How long the service may take for its answer, in milliseconds: longer than one on this machine. */
const TIMEOUT = 15 * SECOND;

/** The paths of the vendors' APIs, for a URL that names none. */
const PATHS: Readonly<Record<VendorFormat, string>> = {
  slack: '/',
  pagerduty: '/v2/enqueue',
  alertmanager: '/api/v2/alerts',
};

/** Answers that say that the request itself is wrong. Slack answers so for what an administrator of it can change. */
const REFUSALS: Readonly<Record<VendorFormat, readonly number[]>> = {
  slack: [],
  pagerduty: [400],
  alertmanager: [400],
};

export interface NoticeRequest {
  /** The same for each attempt to send the same. */
  readonly key: string;
  /** What it is about: the name of an event. */
  readonly event: string;
  /** The body. @param routingKey that of the webhook; empty when it has none */
  readonly body: (routingKey: string) => object;
  readonly signal: AbortSignal;
}

/**
 * Makes one request to the service of a vendor. 2xx takes it. Rejects when the signal aborts. The secrets of the webhook
 * are read for each attempt, and stand in no error.
 */
export async function sendNotice(
  webhook: VendorWebhook,
  { key, event, body, signal }: NoticeRequest,
): Promise<AttemptResult> {
  const { url, format, url_path, routing_key_path, token_path, prove, secret_path, ca_path } = webhook;
  let path: string | undefined;
  let routingKey: string;
  try {
    path = url_path === undefined ? undefined : unnamed(url_path, 'url_path', readPath);
    routingKey = routing_key_path === undefined ? '' : unnamed(routing_key_path, 'routing_key_path', readToken);
  } catch (error) {
    return { kind: 'missed', error: (error as Error).message };
  }
  const result = await send({
    endpoint: { url: withPath(url, path ?? (url.path === '/' ? PATHS[format] : url.path)) },
    tokenPath: token_path,
    prove,
    secretPath: secret_path,
    caPath: ca_path,
    headers: { 'idempotency-key': key, 'audit-event': event },
    body: body(routingKey),
    timeout: TIMEOUT,
    signal,
    final: REFUSALS[format],
  });
  return result.kind === 'done' ? result : { ...result, error: without(result.error, path, routingKey) };
}

const withPath = (url: TargetUrl, path: string): TargetUrl => ({ ...url, path });

/** Longer errors are cut to their status: at the place where the answer was cut, half a secret could be left. */
const LONGEST_ERROR = 180;

/** An error without secrets: what answers may repeat what it was sent. */
function without(error: string, ...secrets: readonly (string | undefined)[]): string {
  const text = error.length > LONGEST_ERROR ? briefly(error) : error;
  const parts = secrets.flatMap((secret = '') => [secret, ...secret.split('/')]);
  const kept = parts.filter(({ length }) => length >= SHORTEST_SECRET);
  return kept.reduce((cut, part) => cut.replaceAll(part, '[secret]'), text);
}

/** A part of a path that is as long may be the secret by itself. */
const SHORTEST_SECRET = 8;
