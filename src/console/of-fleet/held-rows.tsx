/**
 * Rows that hold still: while somebody points at one, or the keyboard's focus is in one, no row comes, goes or changes its
 * place; what a row says is kept current. What has come meanwhile is counted, and shown when they leave or ask for it.
 * Long lists show their first rows: a page of a thousand rows would take a second to draw.
 */
import type { ComponentChildren } from 'preact';
import { useRef, useState } from 'preact/hooks';
import { grouped } from '../format.ts';

/** How many rows are shown, and how many more each time. */
const PAGE = 100;

interface HeldRowsProps<Item> {
  /** In their order, the most important first. */
  readonly items: readonly Item[];
  readonly keyOf: (item: Item) => string;
  /** A list item. */
  readonly row: (item: Item, key: string) => ComponentChildren;
  /** How many are shown first. */
  readonly page?: number;
  /** What the list is of: a change of this shows all that is there. */
  readonly subject?: string;
}

export const HeldRows = <Item,>({ items, keyOf, row, page = PAGE, subject = '' }: HeldRowsProps<Item>) => {
  const [isHeld, setHeld] = useState(false);
  const [most, setMost] = useState(page);
  const shown = useRef({ subject, items: [] as readonly Item[] });
  const before = shown.current;
  const held = isHeld && before.subject === subject ? keepPlaces(before.items, items, keyOf) : undefined;
  const current = held ?? items;
  shown.current = { subject, items: current };
  const known = new Set(current.map(keyOf));
  const waiting = held === undefined ? 0 : items.filter((item) => !known.has(keyOf(item))).length;
  const rest = current.length - most;
  return (
    <>
      <ul
        onPointerOver={({ pointerType }) => pointerType === 'mouse' && setHeld(true)}
        onPointerLeave={({ currentTarget }) => setHeld(currentTarget.contains(document.activeElement))}
        onFocusIn={() => setHeld(true)}
        onFocusOut={({ currentTarget, relatedTarget }) =>
          setHeld(currentTarget.contains(relatedTarget as Node | null) || currentTarget.matches(':hover'))
        }
      >
        {current.slice(0, most).map((item) => row(item, keyOf(item)))}
      </ul>
      {waiting > 0 && (
        <button type="button" class="sm arrived" onClick={() => setHeld(false)}>
          {grouped(waiting)} new
        </button>
      )}
      {rest > 0 && (
        <p class="empty">
          <button type="button" class="sm" onClick={() => setMost(most + PAGE)}>
            Show {grouped(Math.min(PAGE, rest))} more
          </button>{' '}
          <span class="small muted">of {grouped(rest)} that are not shown</span>
        </p>
      )}
    </>
  );
};

/** The rows that were shown, in the places that they had; one that is gone stays as it was. */
function keepPlaces<Item>(
  before: readonly Item[],
  items: readonly Item[],
  keyOf: (item: Item) => string,
): readonly Item[] {
  const now = new Map(items.map((item) => [keyOf(item), item]));
  return before.map((item) => now.get(keyOf(item)) ?? item);
}
