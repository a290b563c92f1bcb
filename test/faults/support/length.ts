/**
 * The fault tests have two lengths: the short run is part of `npm test`, the long one is `npm run test:faults`
 * (`FAULTS=long`).
 */
export const IS_LONG = process.env.FAULTS === 'long';

/** How often something is repeated. */
export const rounds = (short: number, long: number): number => (IS_LONG ? long : short);

/** A test of the long run; in the short one it is shown as pending. */
export const longOnly = (name: string, test: Mocha.AsyncFunc): void => {
  if (IS_LONG) it(name, test);
  else it(`${name} (long run only)`);
};
