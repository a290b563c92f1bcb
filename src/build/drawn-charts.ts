import type { Plugin } from 'rolldown';
import { drawings } from '../statecharts/drawings.ts';

/**
 * Puts the drawings of the statecharts into the bundle. They are drawn in each build, so a changed machine can't have
 * an old picture.
 */
export const drawnCharts = (): Plugin => ({
  name: 'drawn-charts',
  load: {
    filter: { id: /\/src\/statecharts\/drawings\.ts$/ },
    async handler() {
      // As text that is parsed on demand, they cost a start less than as objects.
      const text = JSON.stringify(JSON.stringify(await drawings()));
      return { code: `export const drawings = async () => JSON.parse(${text});`, moduleType: 'js' };
    },
  },
});
