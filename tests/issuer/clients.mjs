// The registered clients and the APIs (resource servers) whose tokens are issued here.

import { createPublicKey } from 'node:crypto';
import fs from 'node:fs';

export const API = 'api://kdb';
export const APIS = { [API]: 'RS256', 'api://kdb-ec': 'ES256', 'api://kdb-ed': 'EdDSA' };
export const OPAQUE_CLIENT = 'qstudio-opaque';
export const DESK_CLIENT = 'desk'; // has a refresh token without offline_access, as at Keycloak
export const WEB_CLIENTS = ['kdb-web', 'kdb-web-public']; // who browsers sign in through

/** Who has a refresh token without offline_access. */
export const isRefreshed = (client) => [DESK_CLIENT, ...WEB_CLIENTS].includes(client.clientId);

/** An API as oidc-provider knows it (RFC 8707): its scopes and how its tokens are signed. */
export const resourceServer = (api) => ({
  scope: 'session.login offline_access',
  accessTokenFormat: 'jwt',
  jwt: { sign: { alg: APIS[api] } },
});

/** Which API a token is for when the request names none; undefined = none: an opaque token. */
export const usualApi = (client) => (client.clientId === OPAQUE_CLIENT ? undefined : API);

const userGrants = [
  'authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code', 'password',
];
const native = {
  application_type: 'native',
  redirect_uris: ['http://127.0.0.1/cb', 'http://localhost'],
  token_endpoint_auth_method: 'none',
  grant_types: userGrants,
  response_types: ['code'],
};
/** Clients of q's own HTTP port: exactly these origins, whose one page is where logins and logouts
    come back to. */
function web(bases) {
  const [confidential, open] = WEB_CLIENTS;
  const callbacks = bases.map((base) => `${base}/.sessiond/callback`);
  const both = {
    redirect_uris: callbacks,
    post_logout_redirect_uris: callbacks,
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
  };
  return [
    {
      client_id: confidential,
      client_secret: `${confidential}-secret`,
      token_endpoint_auth_method: 'client_secret_basic',
      ...both,
    },
    { client_id: open, token_endpoint_auth_method: 'none', ...both },
  ];
}
const service = {
  redirect_uris: [], response_types: [], grant_types: ['client_credentials', 'refresh_token'],
};

export function clients(clientCert, webBases) {
  const registered = [
    { client_id: 'qstudio', ...native }, // JWT access tokens for api://kdb (RFC 9068)
    { client_id: DESK_CLIENT, ...native },
    { client_id: OPAQUE_CLIENT, ...native }, // opaque ones: introspection and userinfo only
    {
      client_id: 'webapp',
      client_secret: 'webapp-secret',
      redirect_uris: ['https://localhost/cb'],
      grant_types: userGrants,
      response_types: ['code'],
    },
    {
      client_id: 'sessiond',
      client_secret: 'sessiond-secret',
      token_endpoint_auth_method: 'client_secret_basic',
      ...service,
    },
    {
      client_id: 'sessiond-post',
      client_secret: 'sessiond-secret',
      token_endpoint_auth_method: 'client_secret_post', // MSAL sends secrets in the body
      ...service,
    },
    { // of data sources: its own tokens, and those that it exchanges users' for
      client_id: 'feeds',
      client_secret: 'feeds-secret',
      token_endpoint_auth_method: 'client_secret_basic',
      ...service,
      grant_types: [...service.grant_types, 'urn:ietf:params:oauth:grant-type:token-exchange'],
    },
    { // the same, with refresh tokens that an operator signs in for
      client_id: 'feeds-desk',
      client_secret: 'feeds-secret',
      ...native,
      token_endpoint_auth_method: 'client_secret_basic',
      redirect_uris: ['http://127.0.0.1/'],
    },
    ...web(webBases),
  ];
  if (clientCert) {
    const key = createPublicKey(fs.readFileSync(clientCert)).export({ format: 'jwk' });
    registered.push({
      client_id: 'sessiond-cert',
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [{ ...key, use: 'sig' }] },
      ...service,
    });
  }
  return registered;
}
