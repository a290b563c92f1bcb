import type { ComponentChildren } from 'preact';

interface NoticeProps {
  readonly kind: 'empty' | 'fault' | 'busy';
  readonly title: string;
  readonly children?: ComponentChildren;
}

/** A message in place of content: there is none, it failed, or it is loading. */
export const Notice = ({ kind, title, children }: NoticeProps) => (
  <div class={`notice ${kind}`} role={kind === 'fault' ? 'alert' : 'status'}>
    <p class="notice-title">{title}</p>
    {children}
  </div>
);
