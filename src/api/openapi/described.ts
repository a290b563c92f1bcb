import * as z from 'zod/mini';

export interface FieldDescription {
  readonly description: string;
  readonly examples?: readonly unknown[];
  /** What the zod schema checks by a function, in the words of JSON Schema. */
  readonly override?: object;
}

export type FieldDescriptions<Shape> = Readonly<Record<keyof Shape, string | FieldDescription>>;

/** Describes an object and each of its fields, and returns it. The document keeps it under the name `id`. */
export const described = <Shape extends z.core.$ZodLooseShape>(
  id: string,
  description: string,
  schema: z.ZodMiniObject<Shape>,
  fields: FieldDescriptions<Shape>,
): z.ZodMiniObject<Shape> => {
  for (const [name, field] of Object.entries<string | FieldDescription>(fields)) describe(schema.shape[name], field);
  return named(id, description, schema);
};

/** Describes a shape, and gives it the name under which the document keeps it. */
export const named = <Schema extends z.ZodMiniType>(id: string, description: string, schema: Schema): Schema => {
  z.globalRegistry.add(schema, { id, description });
  return schema;
};

/** Describes a value. */
export const describe = (schema: z.core.$ZodType, description: string | FieldDescription): void => {
  z.globalRegistry.add(schema, typeof description === 'string' ? { description } : { ...description });
};

/** A copy of a shape with what it means in one place; the shape keeps its name and its own description. */
export const meaning = <Schema extends z.ZodMiniType>(schema: Schema, description: string): Schema => {
  const copy = schema.clone(schema.def, { parent: true });
  describe(copy, description);
  return copy;
};
