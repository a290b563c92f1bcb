import type { ComponentChildren } from 'preact';
import { type LiveResource, useLiveResource } from '../live-resource.ts';
import { LastKnown } from '../parts/last-known.tsx';
import { Notice } from '../parts/notice.tsx';
import { AsOf } from '../parts/time.tsx';

interface FleetPageProps<Body> {
  readonly title: string;
  readonly of: LiveResource<Body>;
  /** What is said beside the title once it is read. */
  readonly sum?: (body: Body) => ComponentChildren;
  readonly children: (body: Body) => ComponentChildren;
}

/** A page that shows one resource: while it is read, when it could not be read, and with its age. */
export const FleetPage = <Body,>({ title, of, sum, children }: FleetPageProps<Body>) => {
  const known = useLiveResource(of);
  const reason = of.fault.value;
  return (
    <div class="page fleet-page">
      <header class="page-head">
        <h1>{title}</h1>
        {known !== undefined && sum !== undefined && <p class="sum">{sum(known)}</p>}
        {known !== undefined && (
          <span class="end small muted">
            <AsOf time={of.readAt.value} />
          </span>
        )}
      </header>
      {known !== undefined && <LastKnown of={of} />}
      {known !== undefined && children(known)}
      {known === undefined && reason === undefined && <Notice kind="busy" title="Reading…" />}
      {known === undefined && reason !== undefined && (
        <Notice kind="fault" title={`${title} can’t be shown`}>
          <p>{reason}</p>
        </Notice>
      )}
    </div>
  );
};

/** One thing that a row says, with its name where rows are cards. */
export const Cell = ({ label, children }: { readonly label: string; readonly children: ComponentChildren }) => (
  <div class="said">
    <span class="said-name small muted">{label}</span>
    <div class="told">{children}</div>
  </div>
);

/** The names of the columns, where there is room for them. */
export const Columns = ({ names }: { readonly names: readonly string[] }) => (
  <div class="columns small muted" aria-hidden="true">
    {names.map((name) => (
      <span key={name}>{name}</span>
    ))}
  </div>
);
