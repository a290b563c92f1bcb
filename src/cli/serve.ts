/** `incident-recorder serve`: the service itself, in this process, so that its flags of Node are this one's. */
import type { Command } from 'commander';

interface Options {
  readonly local?: true;
}

/** The service stands beside the command line, built or as source. */
const SERVICE = new URL(import.meta.url.endsWith('.ts') ? '../main.ts' : '../service.cjs', import.meta.url);

export const define = (command: Command): Command =>
  command
    .description('Runs the recorder in the foreground, configured by the environment: see the README.')
    .option('--local', 'keep everything in ./var, and make up what is missing there')
    .action(async ({ local }: Options) => {
      process.argv.splice(2, process.argv.length, ...(local ? ['--local'] : []));
      await import(SERVICE.href);
    });
