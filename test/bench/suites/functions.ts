import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Bench } from '../bench.ts';
import { bundle } from '../bundle.ts';
import { flagsOf } from '../setting.ts';

type Figures = Readonly<Record<string, { readonly p50: number; readonly p99: number }>>;

const MICROSECOND = 1000;

/** What a report passes through, function by function, with and without V8's compilers. */
export async function functions(bench: Bench): Promise<void> {
  const script = await bundle('measured-functions.ts', bench.directory);
  const figuresOf = async (setting: 'jit' | 'jitless'): Promise<Figures> =>
    JSON.parse((await promisify(execFile)(process.execPath, [...flagsOf(setting), script])).stdout) as Figures;
  const jit = await figuresOf('jit');
  const jitless = await figuresOf('jitless');
  const rows = Object.keys(jit).map((name) => ({
    function: name,
    'jit p50 µs': jit[name]!.p50 / MICROSECOND,
    'jit p99 µs': jit[name]!.p99 / MICROSECOND,
    'jitless p50 µs': jitless[name]!.p50 / MICROSECOND,
    'jitless p99 µs': jitless[name]!.p99 / MICROSECOND,
    times: jitless[name]!.p50 / jit[name]!.p50,
  }));
  bench.report('functions', rows);
}
