/**
 * Where the states and lines of a drawing are: hints for one machine, without words and without sizes.
 *
 * States are in the cells of a grid, and the states inside a state in a grid of its own. Between the columns and the rows,
 * and around them, are gaps: gap 0 is before the first column or row, gap 1 after it. Labels and detours are in the gaps.
 */

export type Side = 'left' | 'right' | 'top' | 'bottom';

export interface Cell {
  readonly column: number;
  readonly row: number;
  /** How many columns and rows it takes, 1 by default. */
  readonly columns?: number;
  readonly rows?: number;
  /** Whether it is as high as its rows; otherwise it is as high as its contents, in the middle of them. */
  readonly fill?: boolean;
}

/** A lane in a gap: 0 is the first after the states before it, -1 the last before those after it. */
export type Lane = readonly [gap: number, lane: number];

/** How the line of a transition leaves its state. */
export interface Tail {
  readonly from: Side;
  /** The frame around several states with this line, which it leaves for all of them. */
  readonly frame?: string;
  /** Where on the side, from 0 to 1. By default the tail is straight. */
  readonly at?: number;
  /** The lanes of a detour, in turn: vertical and horizontal, or the other way round. */
  readonly via?: readonly Lane[];
  /** The side of the label that it enters; by default the one opposite to the line's head. */
  readonly into?: Side;
}

/** How the line goes on, and where its label is. One transition of each line says it. */
export interface Head {
  /** The side of the target that it enters. */
  readonly to: Side;
  /** Where the label is: in a gap between columns for a horizontal head, between rows for a vertical one. */
  readonly gap?: number;
  /** Or in a column of the grid, for a horizontal head. */
  readonly column?: number;
  /** The state beside whose middle it is. Labels beside the same state share that side. */
  readonly beside: string;
}

/** A transition with a line of its own, or on that of another one with the same sources and target. */
export type LineHint = (Tail & Partial<Head>) | { readonly like: string };

export interface Placement {
  readonly states: Readonly<Record<string, Cell>>;
  /** The side at which the arrow enters each initial state, by the id of that state. */
  readonly initial: Readonly<Record<string, 'top' | 'left'>>;
  /** By the id of each transition that leaves its state. */
  readonly lines: Readonly<Record<string, LineHint>>;
  /** States that several lines leave together, by a name for the hints. */
  readonly frames?: Readonly<Record<string, readonly string[]>>;
}
