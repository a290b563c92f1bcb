/** What needs attention, kept current in every view: its rows are counted in the top bar and in the tab's title. */
import { computed } from '@preact/signals';
import { ATTENTION, readFilters, writeFilters, type Filters } from './filters.ts';
import { FollowedList } from './incidents/followed-list.ts';
import { gathered } from './incidents/list-lines.ts';

export const attention = new FollowedList(readFilters(ATTENTION));

/** The rows and bursts that need attention, in their order. */
export const attentionTops = computed(() => gathered(attention.shown.value.rows.value));

/** How many rows need attention, bursts as one; undefined until that is known. */
export const attentionCount = computed(() => {
  const list = attention.shown.value;
  return list.progress.value.kind === 'loading' && list.rows.value.length === 0
    ? undefined
    : attentionTops.value.length;
});

/** Whether these filters are exactly those of what needs attention. */
export const isAttention = (filters: Filters): boolean => writeFilters(filters) === ATTENTION;
