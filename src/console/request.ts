/** Requests to the service, and its refusals. */

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

/** Reads a resource. @throws Refusal; the error of `fetch` when `signal` aborts */
export const read = async <Body>(path: string, signal?: AbortSignal): Promise<ReadAnswer<Body>> =>
  answerOf<Body>(await ask(path, { headers: { accept: 'application/json' }, ...(signal && { signal }) }));

/** Sends a command with a token. @throws Refusal */
export const command = async <Body>(path: string, token: string, body: object): Promise<Body> => {
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${token}` };
  return (await answerOf<Body>(await ask(path, { method: 'POST', headers, body: JSON.stringify(body) }))).body;
};

const ask = async (path: string, init: RequestInit): Promise<Response> => {
  try {
    return await fetch(path, { ...init, cache: 'no-store', credentials: 'omit', redirect: 'error' });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Refusal(0, 'the service does not answer');
  }
};

const answerOf = async <Body>(response: Response): Promise<ReadAnswer<Body>> => {
  const body = (await response.json().catch(() => ({}))) as Body & { readonly error?: string };
  if (!response.ok) {
    const { error = `the service answered ${response.status}`, ...fields } = body;
    throw new Refusal(response.status, error, fields, response.headers.has('www-authenticate'));
  }
  const next = /^<([^>]+)>; rel="next"$/.exec(response.headers.get('link') ?? '')?.[1];
  return { body, ...(next !== undefined && { next }) };
};

/** What went wrong, in words. */
export const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
