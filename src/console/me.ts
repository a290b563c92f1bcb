/** The name under which the person at the page acts; undefined while nobody has given a token. */
import { computed } from '@preact/signals';
import { identity } from './identity.ts';
import { operator } from './operator.ts';

export const me = computed(() => {
  const known = identity.value;
  if (known !== undefined && !known.shared) return known.principal;
  const name = operator.value?.name ?? '';
  return name === '' ? undefined : name;
});
