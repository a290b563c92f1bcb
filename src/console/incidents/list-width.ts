/** From this width on the list shows all its columns, evidence among them. In CSS pixels. */
export const WIDE_FROM = 1580;
