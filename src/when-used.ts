/**
 * A zod schema that is made when it is first used. The service has fifty, of a thousand parts: to make all of them takes a
 * twentieth of a start, and two MiB.
 */
export const whenUsed = <Schema extends object>(make: () => Schema): Schema => {
  let made: Schema | undefined;
  return new Proxy({} as Schema, {
    get: (_, name) => Reflect.get((made ??= make()), name) as unknown,
    has: (_, name) => Reflect.has((made ??= make()), name),
    getPrototypeOf: () => Reflect.getPrototypeOf((made ??= make())),
  });
};
