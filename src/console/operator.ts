/**
 * The operator: the token that authorizes commands, and the name in the log.
 *
 * Both are kept in memory and are gone with the page. On request they are kept until the tab is closed. The token leaves
 * the page in one header only.
 */
import { signal } from '@preact/signals';
import { command, Refusal } from './request.ts';

export interface Operator {
  readonly token: string;
  /** Empty for a command without a name. */
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

export interface TokenQuestion {
  /** Whether the service refused the last token. */
  readonly refused: boolean;
  readonly answer: (operator: Operator | undefined, keep: boolean) => void;
}

/** The open question, shown as a dialog. */
export const question = signal<TokenQuestion | undefined>(undefined);

/** The answer that is awaited, so that several commands ask once. */
let asked: Promise<Operator | undefined> | undefined;

const askWho = (refused: boolean): Promise<Operator | undefined> => {
  asked ??= new Promise((resolve) => {
    const answer = (given: Operator | undefined, keep: boolean): void => {
      question.value = undefined;
      asked = undefined;
      operator.value = given;
      if (given !== undefined && keep) sessionStorage.setItem(STORED_AS, JSON.stringify(given));
      resolve(given);
    };
    question.value = { refused, answer };
  });
  return asked;
};

/** Restores the operator after a reload of the page. */
export const resume = (): void => {
  operator.value = stored();
};

/** Forgets the operator. */
export const leave = (): void => {
  sessionStorage.removeItem(STORED_AS);
  operator.value = undefined;
};

/** Sends a command in the operator's name, and asks for the token if it is unknown. @throws Refusal */
export const perform = async <Body>(path: string, body: object): Promise<Body> => {
  for (let refused = false; ;) {
    const who = operator.peek() ?? (await askWho(refused));
    if (who === undefined) throw new Refusal(0, 'not sent: it needs the service token');
    try {
      return await command<Body>(path, who.token, { ...body, ...(who.name !== '' && { by: who.name }) });
    } catch (error) {
      if (!(error instanceof Refusal) || !error.ofToken) throw error;
      if (operator.peek() === who) leave();
      refused = true;
    }
  }
};
