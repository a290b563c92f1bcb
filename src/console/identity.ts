/** Whose token the operator has, and what they may do with it. The service says so, and says it again when that changes. */
import { signal } from '@preact/signals';
import type { Role } from '../../machines/vocabulary.ts';
import { answerOf, get } from './request.ts';

export interface Identity {
  readonly principal: string;
  readonly roles: readonly Role[];
  /** Several present this token: who gives a command is what they say. */
  readonly shared: boolean;
}

/** Who the operator is; undefined while that is not known. */
export const identity = signal<Identity | undefined>(undefined);

let asked: { readonly token: string; readonly answer: Promise<Identity> } | undefined;

/**
 * Asks the service whose token it is; once for each token.
 * @throws Refusal, of the token when nobody has it
 */
export const identityOf = (token: string): Promise<Identity> => {
  if (asked?.token !== token) {
    const question = { token, answer: ask(token) };
    asked = question;
    question.answer.then(
      (answer) => {
        if (asked === question) identity.value = answer;
      },
      () => {
        if (asked === question) forget();
      },
    );
  }
  return asked.answer;
};

const ask = async (token: string): Promise<Identity> =>
  (await answerOf<Identity>(await get('/api/v1/access/me', { token }))).body;

/** Forgets who the operator is. */
export const forget = (): void => {
  asked = undefined;
  identity.value = undefined;
};

/** Has the next `identityOf` ask again: the roles may have changed. */
export const doubt = (): void => {
  asked = undefined;
};

/** Why the operator may not do what asks for one of these roles; undefined when they may, or nobody knows who they are. */
export const obstacleFor = (needed: readonly Role[]): string | undefined => {
  const who = identity.value;
  if (who === undefined || needed.some((role) => who.roles.includes(role))) return undefined;
  return `needs the role ${needed.join(' or ')}; you are ${describedAs(who)}`;
};

/** `ada (operator, recovery)` */
export const describedAs = ({ principal, roles }: Identity): string =>
  `${principal} (${roles.length === 0 ? 'no role' : roles.join(', ')})`;
