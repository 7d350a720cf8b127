// Token exchange (RFC 8693), which oidc-provider leaves to those who need it: an access token that
// this issuer has signed for a user, for another of his for the client that asks.

import { errors } from 'oidc-provider';
import { createLocalJWKSet, jwtVerify } from 'jose';

import { APIS, resourceServer, usualApi } from './clients.mjs';

export const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
export const PARAMETERS = [
  'subject_token', 'subject_token_type', 'requested_token_type', 'scope', 'resource', 'audience',
];
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

const publicPart = ({ d, p, q, dp, dq, qi, ...key }) => key;

async function subjectOf(provider, keys, token) {
  const known = createLocalJWKSet({ keys: keys.jwks.map(publicPart) });
  try {
    const { payload } = await jwtVerify(token, known, { issuer: provider.issuer });
    return payload;
  } catch {
    throw new errors.InvalidRequest('subject_token is not valid'); // RFC 8693, 2.2.2
  }
}

export const tokenExchange = (provider, { people, keys }) => async (ctx) => {
  const { client, params } = ctx.oidc;
  if (params.subject_token_type !== ACCESS_TOKEN) {
    throw new errors.InvalidRequest('subject_token_type is not an access token');
  }
  const subject = await subjectOf(provider, keys, params.subject_token);
  const user = people.find(subject.preferred_username ?? '');
  if (!user || user.disabled) throw new errors.InvalidRequest('subject is gone');
  const api = params.resource ?? usualApi(client);
  if (api && !APIS[api]) throw new errors.InvalidTarget();
  const scope = params.scope ?? 'session.login';
  const grant = new provider.Grant({ accountId: user.sub, clientId: client.clientId });
  grant.addResourceScope(api, scope);
  const accessToken = new provider.AccessToken({
    accountId: user.sub, client, grantId: await grant.save(), gty: 'token_exchange', scope,
  });
  accessToken.resourceServer = new provider.ResourceServer(api, resourceServer(api));
  ctx.oidc.entity('Grant', grant);
  ctx.oidc.entity('AccessToken', accessToken);
  ctx.body = {
    access_token: await accessToken.save(),
    issued_token_type: ACCESS_TOKEN,
    token_type: 'Bearer',
    expires_in: accessToken.expiration,
    scope: accessToken.scope,
  };
};
