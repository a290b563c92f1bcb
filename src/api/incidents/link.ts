/**
 * The `Link` header (RFC 8288) for the next page: the query of this page with one parameter that names the place to go
 * on from.
 */
export const linkToNext = (path: string, query: string, parameter: string, value: string): string => {
  const parameters = new URLSearchParams(query);
  parameters.set(parameter, value);
  return `<${path}?${parameters.toString()}>; rel="next"`;
};
