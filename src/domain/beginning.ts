/**
 * A text that has not more characters than `longest`, or its beginning and `…`. The beginning is a text of its own: a
 * slice would keep the whole text in memory.
 */
export const beginningOf = (text: string, longest: number): string => {
  if (text.length <= longest) return text;
  // A character has at most two units.
  const characters = Array.from(text.slice(0, 2 * longest + 1));
  return characters.length > longest ? `${characters.slice(0, longest).join('')}…` : text;
};
