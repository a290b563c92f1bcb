/** Reads the parameters and the body of a request by the schema of its route. */
import type { Context } from 'koa';
import type * as z from 'zod/mini';
import { parseQuery } from './query.ts';
import { validate } from './validate.ts';

/**
 * The parameters of a request, each with all values that were given for it.
 *
 * @param required the message of the schema for a parameter that is missing
 * @throws RecorderError `invalid_request`
 */
export const readParameters = <Shape extends z.core.$ZodLooseShape>(
  ctx: Context,
  schema: z.ZodMiniObject<Shape>,
  required?: string,
): z.infer<z.ZodMiniObject<Shape>> => validate(schema, parseQuery(ctx.querystring), 'parameter', required);

/**
 * The body of a command, behind the middleware that reads it.
 *
 * @param required the message of the schema for a field that is missing
 * @throws RecorderError `invalid_request`
 */
export const readBody = <Shape extends z.core.$ZodLooseShape>(
  ctx: Context,
  schema: z.ZodMiniObject<Shape>,
  required: string,
): z.infer<z.ZodMiniObject<Shape>> => validate(schema, ctx.request.body, 'field', required);
