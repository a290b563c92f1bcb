/**
 * The process, under the names that Prometheus clients agree on. prom-client's own set is not used: `promtool check
 * metrics` rejects some of its names, and it watches garbage collection and the event loop at a high cost.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { Histogram, type Registry } from 'prom-client';
import { type Clock, SECOND } from '../clock.ts';
import { addReading, addTotal } from './reading.ts';

const MICROSECOND = 1e-6;

/** How often the delay of the event loop is measured. */
const SAMPLE_INTERVAL = SECOND / 2;
const DELAY_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 5];

/** Adds the figures of this process. @returns stops the measurement of the event loop */
export function addProcessMetrics(registry: Registry, clock: Clock): () => void {
  addTotal(registry, 'process_cpu_seconds_total', 'User and system time spent by the process.', () => {
    const { user, system } = process.cpuUsage();
    return (user + system) * MICROSECOND;
  });
  const started = (clock.now() - process.uptime() * SECOND) / SECOND;
  addReading(registry, 'process_start_time_seconds', 'When the process was started, since the epoch.', () => started);
  addReading(registry, 'process_resident_memory_bytes', 'Resident memory of the process.', () =>
    process.memoryUsage.rss(),
  );
  addReading(registry, 'process_open_fds', 'Open file descriptors; 0 when unknown.', openDescriptors);
  const limit = descriptorLimit();
  addReading(registry, 'process_max_fds', 'The limit of open file descriptors; 0 when unknown.', () => limit);
  addReading(
    registry,
    'nodejs_heap_size_total_bytes',
    'Size of the JavaScript heap.',
    () => process.memoryUsage().heapTotal,
  );
  addReading(
    registry,
    'nodejs_heap_size_used_bytes',
    'Used part of the JavaScript heap.',
    () => process.memoryUsage().heapUsed,
  );
  addTotal(
    registry,
    'nodejs_eventloop_active_seconds_total',
    'Time that the event loop was busy.',
    // Imported, the module would be loaded at start.
    () => process.getBuiltinModule('node:perf_hooks').performance.eventLoopUtilization().active / SECOND,
  );
  return watchEventLoop(registry, clock);
}

/** Measures the delay of the event loop, twice a second. */
function watchEventLoop(registry: Registry, clock: Clock): () => void {
  const delays = new Histogram({
    name: 'nodejs_eventloop_delay_seconds',
    help: 'Delay of the event loop.',
    buckets: DELAY_BUCKETS,
    registers: [registry],
  });
  let due = clock.monotonic() + SAMPLE_INTERVAL;
  const sampling = setInterval(() => {
    const now = clock.monotonic();
    delays.observe(Math.max(0, now - due) / SECOND);
    due = now + SAMPLE_INTERVAL;
  }, SAMPLE_INTERVAL).unref();
  return () => clearInterval(sampling);
}

/** Confinement may hide `/proc` from the process: proc(5). */
function openDescriptors(): number {
  try {
    // One of them is open to read the directory.
    return readdirSync('/proc/self/fd').length - 1;
  } catch {
    return 0;
  }
}

function descriptorLimit(): number {
  try {
    return Number(/^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'latin1'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}
