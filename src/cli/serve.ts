/** `incident-recorder serve`: runs the service in this process, with the same flags of Node. */
import type { Command } from 'commander';

interface Options {
  readonly local?: true;
}

/** The service is next to the command line, in `dist` and in the sources. */
const SERVICE = new URL(import.meta.url.endsWith('.ts') ? '../main.ts' : '../service.cjs', import.meta.url);

export const define = (command: Command): Command =>
  command
    .description('Runs the recorder in the foreground, configured by the environment: see the README.')
    .option('--local', 'keep everything in ./var, and create what is missing there')
    .action(async ({ local }: Options) => {
      process.argv.splice(2, process.argv.length, ...(local ? ['--local'] : []));
      await import(SERVICE.href);
    });
