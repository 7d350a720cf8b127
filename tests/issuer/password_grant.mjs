// The resource owner password grant (RFC 6749, 4.3): the cheapest way for a test to get a token.

import { errors } from 'oidc-provider';

import { APIS, resourceServer, usualApi } from './clients.mjs';

const REFUSED = 'AADSTS50126: Error validating credentials due to invalid username or password.';

async function saveGrant(provider, user, client, scope, api) {
  const grant = new provider.Grant({ accountId: user.sub, clientId: client.clientId });
  grant.addOIDCScope(scope);
  if (api) grant.addResourceScope(api, scope);
  return { grant, grantId: await grant.save() };
}

export const passwordGrant = (provider, people) => async (ctx) => {
  const { client, params } = ctx.oidc;
  const user = people.withPassword(params.username, params.password);
  if (!user) throw new errors.InvalidGrant(REFUSED);
  const scope = params.scope ?? '';
  const api = params.resource ?? usualApi(client);
  if (api && !APIS[api]) throw new errors.InvalidTarget();

  const { grant, grantId } = await saveGrant(provider, user, client, scope, api);
  const common = { accountId: user.sub, client, grantId, gty: 'password', scope };
  const accessToken = new provider.AccessToken(common);
  if (api) {
    const server = new provider.ResourceServer(api, resourceServer(api));
    accessToken.resourceServer = server;
    accessToken.scope = scope.split(' ').filter((name) => server.scopes.has(name)).join(' ');
  }
  ctx.oidc.entity('Grant', grant);
  ctx.oidc.entity('AccessToken', accessToken);

  const body = {
    access_token: await accessToken.save(),
    expires_in: accessToken.expiration,
    token_type: 'Bearer',
    scope: accessToken.scope,
  };
  if (scope.split(' ').includes('offline_access')) {
    const authTime = Math.floor(Date.now() / 1000);
    body.refresh_token = await new provider.RefreshToken({
      ...common, resource: api, rotations: 0, authTime,
    }).save();
  }
  ctx.body = body;
};
