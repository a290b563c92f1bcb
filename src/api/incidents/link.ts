/** The `Link` header (RFC 8288) for the next page, which `parameter` names, under the same filters as the page given. */
export const linkToNext = (path: string, query: string, parameter: string, value: string): string => {
  const parameters = new URLSearchParams(query);
  parameters.set(parameter, value);
  return `<${path}?${parameters.toString()}>; rel="next"`;
};
