import { signal } from '@preact/signals';
import { type Filters, readFilters } from '../filters.ts';
import { goTo, listOf, route } from '../route.ts';

/** Whether the filters are shown as a sheet. */
export const sheetIsOpen = signal(false);

/** Changes the filters of the address as it is then: several may change before this is drawn again. */
export const changeFilters = (change: (filters: Filters) => Filters): void =>
  goTo(listOf(change(readFilters(route.peek().query))), 'replace');
