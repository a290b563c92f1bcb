/**
 * Replaces debug in the bundle, for @koa/router. Node's own does the same (`NODE_DEBUG=koa-router`) and does not ask for
 * the colours of the terminal at each start.
 */
export { debuglog as default } from 'node:util';
