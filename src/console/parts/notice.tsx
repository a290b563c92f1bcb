import type { ComponentChildren } from 'preact';

interface NoticeProps {
  readonly kind: 'empty' | 'fault' | 'busy';
  readonly title: string;
  readonly children?: ComponentChildren;
}

/** What stands where there is nothing to show: because there is nothing, because it failed, or because it comes. */
export const Notice = ({ kind, title, children }: NoticeProps) => (
  <div class={`notice ${kind}`} role={kind === 'fault' ? 'alert' : 'status'}>
    <p class="notice-title">{title}</p>
    {children}
  </div>
);
