/** The address that a text is; undefined when it is none, or one of another scheme, which a browser might run. */
export const linkIn = (text: string): string | undefined => {
  const address = text.trim();
  return /^https?:\/\/[^\s]+$/i.test(address) && URL.canParse(address) ? address : undefined;
};
