import * as z from 'zod/mini';
import { describe, type FieldDescriptions } from './described.ts';

/**
 * The parameters of a query in the terms of OpenAPI, each with its description.
 *
 * The schemas that validate see each parameter as the list of all values that were given for it. Where that list may
 * hold only one value, OpenAPI's parameter is that value; otherwise it is a list, whose name is repeated for each value.
 */
export const queryOf = <Shape extends z.core.$ZodLooseShape>(
  schema: z.ZodMiniObject<Shape>,
  fields: FieldDescriptions<Shape>,
): z.ZodMiniObject => {
  const parameters: Record<string, z.ZodMiniType> = {};
  for (const [name, field] of Object.entries(schema.shape)) {
    const parameter =
      field instanceof z.ZodMiniExactOptional ? z.exactOptional(parameterOf(field.def.innerType)) : parameterOf(field);
    describe(parameter, fields[name as keyof Shape]);
    parameters[name] = parameter;
  }
  return z.object(parameters);
};

const parameterOf = (field: z.core.$ZodType): z.ZodMiniType => {
  const values = field as z.ZodMiniArray<z.ZodMiniType>;
  return z.toJSONSchema(values).maxItems === 1 ? values.def.element : values;
};
