import type { Plugin } from 'rolldown';
import { drawings } from '../statecharts/drawings.ts';

/**
 * Puts the drawings of the statecharts into the bundle, drawn from the machines as they are now: a changed machine can't
 * have an old picture.
 */
export const drawnCharts = (): Plugin => ({
  name: 'drawn-charts',
  load: {
    filter: { id: /\/src\/statecharts\/drawings\.ts$/ },
    async handler() {
      // Text that is parsed when it is asked for costs a start less than objects would.
      const text = JSON.stringify(JSON.stringify(await drawings()));
      return { code: `export const drawings = async () => JSON.parse(${text});`, moduleType: 'js' };
    },
  },
});
