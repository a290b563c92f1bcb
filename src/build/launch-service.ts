/**
 * The entry of `dist/service.cjs`: runs the bundle next to it, with the cached data where V8 accepts that. It is
 * CommonJS, because loading ES modules takes a third of a start without JIT.
 *
 * `NODE_DEBUG=incident-recorder` says why cached data was not used. With `--enable-source-maps` it is never used: Node
 * supports source maps of modules, not of scripts.
 */
import { join } from 'node:path';
import { debuglog } from 'node:util';
import { ServiceScript } from './service-script.ts';

const bundle = join(import.meta.dirname, 'bundle.cjs');
if (process.sourceMapsEnabled) {
  require(bundle);
} else {
  const script = new ServiceScript(bundle, `${bundle}.cache`);
  if (script.passedOver !== undefined) debuglog('incident-recorder')('cached data passed over: %s', script.passedOver);
  script.run(require);
}
