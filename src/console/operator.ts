/**
 * The operator: the token that authorizes commands, and reads where the service wants it. A token of one's own says who
 * that is; with one that several share the operator gives a name, and the log keeps it as claimed.
 *
 * Both are kept in memory and are gone with the page. On request they are kept until the tab is closed. The token leaves
 * the page in one header only.
 */
import { signal } from '@preact/signals';
import { doubt, forget, identityOf } from './identity.ts';
import { commandMachine } from './fleet-command.ts';
import { isFleet } from './service.ts';
import { answerOf, command, get, type ReadAnswer, Refusal } from './request.ts';

export interface Operator {
  readonly token: string;
  /** Empty for a command without a name; only with a token that several share. */
  readonly name: string;
}

const STORED_AS = 'incident-recorder.operator';

const stored = (): Operator | undefined => {
  try {
    return JSON.parse(sessionStorage.getItem(STORED_AS) ?? 'null') ?? undefined;
  } catch {
    return undefined;
  }
};

/** The operator; undefined until the dialog is answered. */
export const operator = signal<Operator | undefined>(undefined);

/** Whether the service wants a token for reads, and the dialog was closed without one: then reads don't ask again. */
export const isLockedOut = signal(false);

/** A command was not sent, because nobody entered the token. */
export class NotSent extends Error {
  override readonly name = 'NotSent';
}

export interface TokenQuestion {
  /** Whether the service refused the last token. */
  readonly refused: boolean;
  /** Whether already reading needs the token. */
  readonly forReading: boolean;
  readonly answer: (operator: Operator | undefined, keep: boolean) => void;
}

/** The open question, shown as a dialog. */
export const question = signal<TokenQuestion | undefined>(undefined);

/** The answer that is awaited, so that several commands ask once. */
let asked: Promise<Operator | undefined> | undefined;

const askWho = (refused: boolean, forReading = false): Promise<Operator | undefined> => {
  asked ??= new Promise((resolve) => {
    const answer = (given: Operator | undefined, keep: boolean): void => {
      question.value = undefined;
      asked = undefined;
      forget();
      operator.value = given;
      learn(given);
      if (given !== undefined) isLockedOut.value = false;
      if (given !== undefined && keep) sessionStorage.setItem(STORED_AS, JSON.stringify(given));
      resolve(given);
    };
    question.value = { refused, forReading, answer };
  });
  return asked;
};

/** Restores the operator after a reload of the page. */
export const resume = (): void => {
  operator.value = stored();
  learn(operator.value);
};

/** Learns who the operator is. A token that nobody has is forgotten when it is used. */
const learn = (who: Operator | undefined): void => {
  if (who !== undefined) identityOf(who.token).catch(() => {});
};

/** Asks again who the operator is: the roles may have changed. */
export const relearn = (): void => {
  doubt();
  learn(operator.peek());
};

/** Forgets the operator. */
export const leave = (): void => {
  sessionStorage.removeItem(STORED_AS);
  forget();
  operator.value = undefined;
};

/** Asks for the token after the dialog was closed without one, or for another. */
export const identify = async (): Promise<void> => {
  for (let refused = false; ;) {
    const who = await askWho(refused, true);
    if (who === undefined) return;
    try {
      await identityOf(who.token);
      return;
    } catch (error) {
      if (!(error instanceof Refusal) || !error.ofToken) return;
      if (operator.peek() === who) leave();
      refused = true;
    }
  }
};

/**
 * Reads with the operator's token if there is one, and asks for it where the service refuses to be read without.
 * @throws Refusal, and what `send` throws
 */
export const readAs = async <Result>(send: (token: string | undefined) => Promise<Result>): Promise<Result> => {
  for (;;) {
    const who = operator.peek();
    try {
      return await send(who?.token);
    } catch (error) {
      if (!(error instanceof Refusal) || !error.ofToken) throw error;
      if (who !== undefined && operator.peek() === who) leave();
      if (operator.peek() !== undefined) continue;
      if (!isLockedOut.peek() && (await askWho(who !== undefined, true)) !== undefined) continue;
      isLockedOut.value = true;
      throw new Refusal(error.status, 'reading needs a token');
    }
  }
};

/** Reads a resource in JSON. @throws Refusal; the error of `fetch` when `ends` aborts */
export const read = <Body>(path: string, ends?: AbortSignal): Promise<ReadAnswer<Body>> =>
  readAs(async (token) => answerOf<Body>(await get(path, { token, signal: ends })));

/**
 * Sends a command in the operator's name, and asks for the token if it is unknown.
 * @param nameAs the member of the body that says the operator's name
 * @throws Refusal, NotSent
 */
export const perform = async <Body>(path: string, body: object, nameAs = 'by'): Promise<Body> => {
  for (let refused = false; ;) {
    const who = operator.peek() ?? (await askWho(refused));
    if (who === undefined) throw new NotSent('not sent: it needs a token');
    try {
      const { shared } = await identityOf(who.token);
      const named = { ...body, ...(shared && who.name !== '' && { [nameAs]: who.name }) };
      return await (isFleet ? commandMachine<Body>(path, who.token, named) : command<Body>(path, who.token, named));
    } catch (error) {
      if (!(error instanceof Refusal) || !error.ofToken) throw error;
      if (operator.peek() === who) leave();
      refused = true;
    }
  }
};
