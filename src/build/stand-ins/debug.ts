/**
 * Takes the place of debug in the bundle, for @koa/router: Node's own does the same (`NODE_DEBUG=koa-router`), without a
 * look at the terminal's colours at each start.
 */
export { debuglog as default } from 'node:util';
