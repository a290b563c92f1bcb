import { SECOND } from '../clock.ts';
import type { Webhook } from '../policy/targets.ts';
import type { AttemptResult } from './attempt-result.ts';
import { send } from './http-target.ts';

/** How long a webhook may take for its answer, in milliseconds. */
const TIMEOUT = 5 * SECOND;

/** What is sent to a webhook. */
export interface WebhookRequest {
  readonly key: string;
  /** What it is about: the name of an event. */
  readonly event: string;
  readonly body: string;
  readonly signal: AbortSignal;
  /** In milliseconds; at most, and by default, five seconds. */
  readonly timeout?: number;
}

/** Makes one request to a webhook. Only 2xx takes it. Rejects when the signal aborts. */
export const sendToWebhook = (
  { url, token_path: tokenPath, prove, secret_path: secretPath, ca_path: caPath }: Webhook,
  { key, event, body, signal, timeout = TIMEOUT }: WebhookRequest,
): Promise<AttemptResult> =>
  send({
    endpoint: { url },
    tokenPath,
    prove,
    secretPath,
    caPath,
    headers: { 'idempotency-key': key, 'audit-event': event },
    body,
    timeout: Math.min(timeout, TIMEOUT),
    signal,
    confirm: 'status',
  });
