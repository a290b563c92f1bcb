/**
 * Replaces co-body's parsers of JSON, forms and other types in the bundle: koa-bodyparser collects bodies as text. If a
 * body reaches one of them after all, that is an error and not an empty report.
 */
export const parse = (): never => {
  throw new Error('bodies are collected as text');
};

export { parse as 'module.exports' };
