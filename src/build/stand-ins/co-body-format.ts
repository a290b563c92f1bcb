/**
 * Takes the place of co-body's parsers of JSON, forms and unknown types in the bundle: koa-bodyparser collects bodies as
 * text. It is here so that a body that reaches one of them is an error and not an empty report.
 */
export const parse = (): never => {
  throw new Error('bodies are collected as text');
};

export { parse as 'module.exports' };
