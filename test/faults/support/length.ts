/**
 * The fault tests have two lengths: the short run is part of `npm test`, the long one is `npm run test:faults`
 * (`FAULTS=long`).
 */
const LONG = process.env.FAULTS === 'long';

/** How often something is repeated. */
export const rounds = (short: number, long: number): number => (LONG ? long : short);

/** A test of the long run; in the short one it is shown as pending. */
export const longOnly = (name: string, test: Mocha.AsyncFunc): void => {
  if (LONG) it(name, test);
  else it(`${name} (long run only)`);
};
