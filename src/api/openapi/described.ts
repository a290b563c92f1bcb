import * as z from 'zod/mini';

export interface FieldDescription {
  readonly description: string;
  readonly examples?: readonly unknown[];
  /** What JSON Schema can say of it, where the zod schema says it by a function. */
  readonly override?: object;
}

export type FieldDescriptions<Shape> = Readonly<Record<keyof Shape, string | FieldDescription>>;

/** Says what an object and each of its fields mean, and gives it back. The document keeps it under the name `id`. */
export const described = <Shape extends z.core.$ZodLooseShape>(
  id: string,
  description: string,
  schema: z.ZodMiniObject<Shape>,
  fields: FieldDescriptions<Shape>,
): z.ZodMiniObject<Shape> => {
  for (const [name, told] of Object.entries<string | FieldDescription>(fields)) describe(schema.shape[name], told);
  return named(id, description, schema);
};

/** Gives a shape the name under which the document keeps it. */
export const named = <Schema extends z.ZodMiniType>(id: string, description: string, schema: Schema): Schema => {
  z.globalRegistry.add(schema, { id, description });
  return schema;
};

/** Says what a value means. */
export const describe = (schema: z.core.$ZodType, told: string | FieldDescription): void => {
  z.globalRegistry.add(schema, typeof told === 'string' ? { description: told } : { ...told });
};

/** A shape that has a name of its own, with what it means in one place. */
export const meaning = <Schema extends z.ZodMiniType>(schema: Schema, description: string): Schema => {
  const copy = z.core.clone<Schema>(schema, schema._zod.def, { parent: true });
  describe(copy, description);
  return copy;
};
