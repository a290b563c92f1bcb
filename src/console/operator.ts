/**
 * Who works here: the token that commands are sent under, and the name that they are logged under.
 *
 * Both are kept in memory and gone with the page, or until the tab is closed when that was asked for. The token leaves
 * the page in one header only.
 */
import { signal } from '@preact/signals';
import { command, Refusal } from './request.ts';

export interface Operator {
  readonly token: string;
  /** Empty when nobody wants to be named. */
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

/** Who works here; undefined until somebody has said. */
export const operator = signal<Operator | undefined>(undefined);

export interface Question {
  /** Whether the token that was given before was refused. */
  readonly refused: boolean;
  readonly answer: (operator: Operator | undefined, keep: boolean) => void;
}

/** The question that waits for an answer: shown as a dialog. */
export const question = signal<Question | undefined>(undefined);

/** What the last answer to the question has promised, so that several commands ask once. */
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

/** Takes up who was here before the page was loaded anew. */
export const resume = (): void => {
  operator.value = stored();
};

/** Forgets who works here. */
export const leave = (): void => {
  sessionStorage.removeItem(STORED_AS);
  operator.value = undefined;
};

/** Sends a command in the operator's name, asking for the token where it is needed. Throws Refusal. */
export const perform = async <Body>(path: string, body: object): Promise<Body> => {
  for (let refused = false; ;) {
    const who = operator.peek() ?? (await askWho(refused));
    if (who === undefined) throw new Refusal(0, 'not sent: it takes the service token');
    try {
      return await command<Body>(path, who.token, { ...body, ...(who.name !== '' && { by: who.name }) });
    } catch (error) {
      if (!(error instanceof Refusal) || !error.ofToken) throw error;
      if (operator.peek() === who) leave();
      refused = true;
    }
  }
};
