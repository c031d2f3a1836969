import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import type { Server } from 'node:https';
import { fastify, type FastifyInstance } from 'fastify';
import { answer, refuse } from './answers.ts';
import { type Caller, identify } from './caller.ts';
import { controlRoutes } from './control-routes.ts';
import { joinRoutes } from './join-routes.ts';
import { HttpRefusal } from './refusals.ts';
import type { Exchange, Route, Service } from './routing.ts';
import { streamRoutes } from './stream-routes.ts';

export const routes: readonly Route[] = [...joinRoutes, ...controlRoutes, ...streamRoutes];

/**
 * The routes behind one question: who is it? Everything that is not open needs a caller, what does not exist too, so
 * that a stranger learns nothing (default deny, faults 1).
 * @param welcomeBody sends the 100 that a client may be waiting for
 */
export function newRouter(
  service: Service,
  makeServer: (listener: RequestListener) => Server,
  welcomeBody: (request: IncomingMessage, response: ServerResponse) => void,
): FastifyInstance<Server> {
  const app = fastify<Server>({
    serverFactory: (listener) => makeServer(listener),
    logger: false,
    exposeHeadRoutes: false,
    return503OnClosing: false,
    clientErrorHandler: () => {},
    routerOptions: { maxParamLength: 100 },
  });
  const callers = new WeakMap<IncomingMessage, Caller>();
  const open = new Set(routes.filter((route) => route.open).map((route) => `${route.method} ${route.path}`));
  // Bodies are read by the routes, when and as far as they want them.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, _payload, done) => done(null));
  app.addHook('onRequest', async ({ raw, routeOptions }) => {
    if (open.has(`${raw.method} ${routeOptions.url}`)) return;
    callers.set(raw, await identify(raw, service.enrollment, service.world.clock.now()));
  });
  app.setErrorHandler((error: Error & { readonly statusCode?: number }, { raw }, reply) => {
    reply.hijack();
    const { statusCode = 500 } = error;
    const own = statusCode >= 500 ? error : new HttpRefusal(statusCode, 'this request is not valid');
    refuse(reply.raw, service.http, service.report(raw, own));
  });
  app.setNotFoundHandler(({ raw }, reply) => {
    reply.hijack();
    refuse(reply.raw, service.http, service.report(raw, notThere(raw, reply.raw)));
  });
  for (const route of routes) {
    app.route({
      method: route.method,
      url: route.path,
      handler: async ({ raw, params, ip }, reply) => {
        reply.hijack();
        const exchange = {
          request: raw,
          response: reply.raw,
          limits: service.http,
          welcomeBody: () => welcomeBody(raw, reply.raw),
          id: (params as { id?: string }).id ?? '',
          address: ip,
        };
        await carryOut(service, route, exchange, callers.get(raw));
      },
    });
  }
  return app;
}

async function carryOut(
  service: Service,
  route: Route,
  exchange: Exchange,
  caller: Caller | undefined,
): Promise<void> {
  const { request, response } = exchange;
  try {
    const given = route.open
      ? await route.handle(service, exchange)
      : await route.handle(service, {
          ...exchange,
          ...known(service, caller),
        });
    if (given !== null) answer(response, service.http, given.status ?? 200, given.type, given.body);
  } catch (error) {
    refuse(response, service.http, service.report(request, error));
  }
}

function known(service: Service, caller: Caller | undefined) {
  if (caller === undefined) throw new HttpRefusal(401, 'this needs a client', 'not-enrolled');
  return { caller, api: service.api(caller.client, caller.address) };
}

/** 405 if only the method is wrong. */
function notThere(request: IncomingMessage, response: ServerResponse): HttpRefusal {
  const parts = (request.url ?? '').split('/');
  const allowed = routes.filter(({ path }) => {
    const pattern = path.split('/');
    return (
      pattern.length === parts.length && pattern.every((part, at) => part === ':id' || part === parts[at])
    );
  });
  if (allowed.length === 0) return new HttpRefusal(404, 'there is no such path', 'not-found');
  response.setHeader('allow', allowed.map(({ method }) => method).join(', '));
  return new HttpRefusal(405, `this path does not take ${request.method}`);
}
