/**
 * Replaces the package debug in the bundle, for @koa/router. Node's own debuglog does the same
 * (`NODE_DEBUG=koa-router`) and does not check the terminal's colours at each start.
 */
export { debuglog as default } from 'node:util';
