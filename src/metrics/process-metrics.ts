/**
 * The process, under the names that Prometheus clients have agreed on. prom-client's own set is not used: it holds names
 * that `promtool check metrics` objects to, and watches garbage collection and the event loop at a price.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { Histogram, type Registry } from 'prom-client';
import { type Clock, SECOND } from '../clock.ts';
import { addReading, addTotal } from './reading.ts';

const MICROSECOND = 1e-6;

/** How often the event loop is asked how late it is. */
const SAMPLE_INTERVAL = SECOND / 2;
const DELAY_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 5];

/** Adds the figures of this process. What is given stops the watch over the event loop. */
export function addProcessMetrics(registry: Registry, clock: Clock): () => void {
  addTotal(registry, 'process_cpu_seconds_total', 'User and system time spent by the process.', () => {
    const { user, system } = process.cpuUsage();
    return (user + system) * MICROSECOND;
  });
  const started = (clock.now() - process.uptime() * SECOND) / SECOND;
  addReading(registry, 'process_start_time_seconds', 'When the process was started, since the epoch.', () => started);
  addReading(registry, 'process_resident_memory_bytes', 'Memory that the process has resident.', () =>
    process.memoryUsage.rss(),
  );
  addReading(registry, 'process_open_fds', 'Open file descriptors; 0 where that may not be seen.', openDescriptors);
  const limit = descriptorLimit();
  addReading(
    registry,
    'process_max_fds',
    'The most file descriptors that may be open; 0 where that may not be seen.',
    () => limit,
  );
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
    'Time that the event loop has been busy.',
    () => performance.eventLoopUtilization().active / SECOND,
  );
  return watchEventLoop(registry, clock);
}

/** Shows how late the event loop comes to what is due, from two samples a second. */
function watchEventLoop(registry: Registry, clock: Clock): () => void {
  const delays = new Histogram({
    name: 'nodejs_eventloop_delay_seconds',
    help: 'How late the event loop comes to what is due.',
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

/** Confinement may keep `/proc` from the process: proc(5). */
function openDescriptors(): number {
  try {
    // One of them reads the directory.
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
