/**
 * How wide text is, without a browser. Each width is the larger of Arial's and Noto Sans's, so that a drawing is the same
 * on every computer, and text fits whichever of the usual fonts the reader has.
 */

/** The advance widths of the characters from space to tilde, in 1/1000 of the type size. */
const REGULAR = advances(
  `278 278 408 646 572 889 732 225 333 333 551 584 278 333 278 372 572 572 572 572 572 572 572 572 572 572 278 278
  584 584 584 556 1015 667 667 722 730 667 611 778 741 339 500 667 556 907 760 781 667 781 722 667 611 731 667 944
  667 667 611 329 372 329 572 556 333 561 615 500 615 564 344 615 618 258 258 534 258 935 618 605 615 615 413 500
  361 618 508 786 529 510 500 380 551 380 584`,
);
const BOLD = advances(
  `278 333 474 646 572 901 750 266 339 339 545 584 285 333 285 413 572 572 572 572 572 572 572 572 572 572 333 333
  584 584 584 611 975 722 722 722 740 667 611 778 765 389 556 722 611 943 813 796 667 796 722 667 611 756 667 967
  667 667 611 333 413 333 584 556 362 604 633 556 633 591 387 633 657 305 305 620 305 982 657 619 633 633 454 556
  434 657 569 856 578 569 500 394 551 394 584`,
);

const FIRST = ' '.codePointAt(0)!;
/** Of every other character. */
const WIDEST = 1000;

function advances(text: string): readonly number[] {
  return text.trim().split(/\s+/).map(Number);
}

export type Weight = 'regular' | 'bold';

/** The width of text in whole pixels. @param size of the type, in pixels */
export function widthOf(text: string, weight: Weight = 'regular', size = 12): number {
  const table = weight === 'bold' ? BOLD : REGULAR;
  const sum = [...text].reduce((all, character) => all + (table[character.codePointAt(0)! - FIRST] ?? WIDEST), 0);
  return Math.ceil((sum * size) / 1000);
}

/** The next even number, so that the middle of a shape lies on a whole pixel. */
export const even = (length: number): number => Math.ceil(length / 2) * 2;
