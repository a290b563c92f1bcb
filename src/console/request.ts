/** Requests to the service, and its refusals. */
import { compareClocks } from './service-time.ts';

/** A refusal in the service's own words, with the other members of its body; status 0 when there was no answer. */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly status: number;
  readonly fields: Readonly<Record<string, unknown>>;
  /** Whether the service refused the token, not the request. */
  readonly ofToken: boolean;

  constructor(status: number, message: string, fields: Readonly<Record<string, unknown>> = {}, ofToken = false) {
    super(message);
    this.status = status;
    this.fields = fields;
    this.ofToken = ofToken;
  }
}

export interface ReadAnswer<Body> {
  readonly body: Body;
  /** The path of the next page, if there is one. */
  readonly next?: string;
}

interface ReadRequest {
  /** The media type that is wanted; `application/json` by default. */
  readonly accept?: string;
  /** Sent where it is known: the service may refuse reads without it. */
  readonly token: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Reads a resource, whatever the status. @throws Refusal; the error of `fetch` when `signal` aborts */
export const get = (
  path: string,
  { accept = 'application/json', token, signal, headers }: ReadRequest,
): Promise<Response> =>
  ask(path, {
    headers: { ...headers, accept, ...(token !== undefined && { authorization: `Bearer ${token}` }) },
    ...(signal && { signal }),
  });

/** Sends a command with a token. @throws Refusal */
export const command = async <Body>(
  path: string,
  token: string,
  body: object,
  more: Readonly<Record<string, string>> = {},
): Promise<Body> => {
  const headers = { ...more, 'content-type': 'application/json', authorization: `Bearer ${token}` };
  return (await answerOf<Body>(await ask(path, { method: 'POST', headers, body: JSON.stringify(body) }))).body;
};

const ask = async (path: string, init: RequestInit): Promise<Response> => {
  try {
    const response = await fetch(path, { ...init, cache: 'no-store', credentials: 'omit', redirect: 'error' });
    compareClocks(response.headers.get('date'));
    return response;
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Refusal(0, 'the service does not answer');
  }
};

/** The body and the next page of a response in JSON. @throws Refusal when the service has refused */
export const answerOf = async <Body>(response: Response): Promise<ReadAnswer<Body>> => {
  await refuse(response);
  const body = (await response.json().catch(() => ({}))) as Body;
  const next = /^<([^>]+)>; rel="next"$/.exec(response.headers.get('link') ?? '')?.[1];
  return { body, ...(next !== undefined && { next }) };
};

/** @throws Refusal when the service has refused */
export const refuse = async (response: Response): Promise<void> => {
  if (response.ok) return;
  const body = (await response.json().catch(() => ({}))) as { readonly error?: string };
  const { error = `the service answered ${response.status}`, ...fields } = body;
  throw new Refusal(response.status, error, fields, response.headers.has('www-authenticate'));
};

/** What went wrong, in words. */
export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
