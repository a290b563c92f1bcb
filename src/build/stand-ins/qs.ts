/**
 * Takes the place of qs in the bundle: co-body loads it to parse HTML forms, which are turned away by their content
 * type before they are read. It is here so that one that gets through is an error and not an empty report.
 */
export const parse = (): never => {
  throw new Error('HTML forms are not parsed');
};
