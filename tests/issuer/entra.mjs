// Two habits of Entra's token endpoint, and the faults that change one of its answers.

import { text } from 'node:stream/consumers';

import { APIS } from './clients.mjs';
import { GRAPH_ID } from './graph.mjs';

/** Entra names a scope by its API, `api://kdb/session.login`; oidc-provider wants the two apart. */
function takeApart(form) {
  const plain = [];
  let named;
  for (const scope of (form.get('scope') ?? '').split(' ').filter(Boolean)) {
    const api = Object.keys(APIS).find((known) => scope.startsWith(`${known}/`));
    const name = api ? scope.slice(api.length + 1) : scope;
    plain.push(name === '.default' ? 'session.login' : name);
    named ??= api;
  }
  if (plain.length) form.set('scope', plain.join(' '));
  if (named && !form.has('resource')) form.set('resource', named);
  return form.has('resource');
}

/** Before oidc-provider: sees which API is meant. After it: changes what it would have answered. */
export function likeEntra({ settings: { tenant, habits }, people, graph, issued }, provider) {
  const oauth = `/${tenant}/oauth2/v2.0`;
  return async (ctx, next) => {
    let namesApi = false;
    if (ctx.method === 'GET' && ctx.path === `${oauth}/authorize`) {
      const query = new URLSearchParams(ctx.querystring);
      takeApart(query);
      ctx.querystring = query.toString();
    } else if (ctx.method === 'POST' && ctx.is('urlencoded')
               && [`${oauth}/token`, `${oauth}/devicecode`].includes(ctx.path)) {
      const form = new URLSearchParams(await text(ctx.req));
      namesApi = takeApart(form);
      ctx.req.body = form.toString(); // oidc-provider takes it from here, and says so once
    }
    await next();
    if (ctx.path === `${oauth}/token`) issued.noteRefresh(ctx, ctx.req.cameAt);
    if (ctx.path !== `${oauth}/token` || !ctx.body?.access_token) return;

    const { grant_type: grantType } = ctx.oidc.params;
    if (grantType === 'refresh_token' && !namesApi && habits.scopeless === 'graph') {
      answerForGraph(ctx, graph, people, habits);
    }
    await applyFault(ctx, provider, people);
    issued.note(ctx);
  };
}

function answerForGraph(ctx, graph, people, habits) {
  const user = people.find(ctx.oidc.entities.AccessToken.accountId);
  const seconds = habits.access_token_seconds;
  const appid = ctx.oidc.client.clientId;
  ctx.body.access_token = graph.issue(user, { seconds, audience: GRAPH_ID, appid });
  ctx.body.scope = 'openid profile email User.Read';
}

/** A fault of kind `token`: members taken away or set, or the token of somebody else. */
async function applyFault(ctx, provider, people) {
  const { fault } = ctx.req;
  if (fault?.kind !== 'token') return;
  if (fault.as_user) {
    const { client, entities: { AccessToken: real } } = ctx.oidc;
    const { sub: accountId } = people.find(fault.as_user);
    const { grantId, gty, scope, resourceServer } = real;
    const other = new provider.AccessToken({ accountId, client, grantId, gty, scope });
    if (resourceServer) other.resourceServer = resourceServer;
    ctx.body.access_token = await other.save();
    delete ctx.body.id_token; // it would still name the first user
  }
  for (const member of fault.without ?? []) delete ctx.body[member];
  Object.assign(ctx.body, fault.set ?? {});
}
