/**
 * The entry of `dist/service.cjs`: runs the bundle beside it, compiled at build time where that serves. It is CommonJS,
 * because to load ES modules takes Node a third of a start without JIT.
 *
 * `NODE_DEBUG=incident-recorder` tells why the compiled bundle was passed over. Under `--enable-source-maps` it always
 * is: Node knows the source maps of modules, not of scripts.
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
