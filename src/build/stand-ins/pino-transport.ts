/**
 * Takes the place of pino's transports in the bundle: they write the log in a thread of their own, and the service has
 * none to spare.
 */
export const transport = (): never => {
  throw new Error('there are no transports here');
};

export { transport as 'module.exports' };
