import type { LiveResource } from '../live-resource.ts';
import { AsOf } from './time.tsx';

/** Says when something was read that could not be read again, and why not. Empty while it is current. */
export const LastKnown = ({ of: { value, fault, readAt } }: { readonly of: LiveResource<unknown> }) =>
  fault.value === undefined || value.value === undefined ? null : (
    <p class="error" role="alert">
      As it was last known, <AsOf time={readAt.value} />: {fault.value}
    </p>
  );
