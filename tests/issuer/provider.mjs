// npm's oidc-provider, configured with Entra's paths and claims.

import { Provider, errors, interactionPolicy } from 'oidc-provider';

import { APIS, WEB_CLIENTS, clients, isRefreshed, resourceServer, usualApi } from './clients.mjs';
import { passwordGrant } from './password_grant.mjs';
import { PARAMETERS, TOKEN_EXCHANGE, tokenExchange } from './token_exchange.mjs';
import { TENANT_ID } from './people.mjs';

const { Check } = interactionPolicy;
const SCOPES = ['openid', 'offline_access', 'profile', 'email', 'session.login'];
const EVENTS = ['grant.error', 'introspection.error', 'revocation.error', 'authorization.error'];

function routes(tenant) {
  const oauth = `/${tenant}/oauth2/v2.0`;
  return {
    authorization: `${oauth}/authorize`,
    token: `${oauth}/token`,
    device_authorization: `${oauth}/devicecode`,
    code_verification: '/devicelogin',
    jwks: `/${tenant}/discovery/v2.0/keys`,
    introspection: `${oauth}/introspect`,
    revocation: `${oauth}/revoke`,
    userinfo: '/oidc/userinfo',
    end_session: `${oauth}/logout`,
  };
}

function lifetimes(habits) {
  const access = () => habits.access_token_seconds;
  return {
    AccessToken: access,
    ClientCredentials: access,
    RefreshToken: () => habits.refresh_token_seconds,
    IdToken: 3600,
    Grant: 86400 * 14,
    Session: 86400,
    Interaction: 600,
    DeviceCode: 600,
  };
}

function account(people, id) {
  const user = people.find(id);
  if (!user) return undefined;
  const { oid, sub, upn, name } = user;
  // oidc-provider answers 500 unless this id is the one that the login form gave.
  return {
    accountId: sub,
    claims: () => ({ sub, oid, tid: TENANT_ID, name, preferred_username: upn, email: upn }),
  };
}

function userClaims({ oid, upn, roles, claims = {} }, token) {
  const ofApi = [...token.scopes].filter((scope) => scope !== 'offline_access').join(' ');
  return { oid, preferred_username: upn, scp: ofApi || undefined, roles, ...claims };
}

function extraClaims(people, token, { AuthorizationCode: code, RefreshToken: refresh }) {
  const user = token.accountId && people.find(token.accountId);
  const whose = user ? userClaims(user, token) : { idtyp: 'app' };
  const since = WEB_CLIENTS.includes(token.clientId) ? (code ?? refresh)?.authTime : undefined;
  return { tid: TENANT_ID, ver: '2.0', azp: token.clientId, auth_time: since, ...whose };
}

function features() {
  return {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    revocation: { enabled: true, allowedPolicy: () => true },
    introspection: { enabled: true, allowedPolicy: (_, client) => client.clientAuthMethod !== 'none' },
    userinfo: { enabled: true },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      defaultResource: (_, client, one) => one || usualApi(client),
      getResourceServerInfo: (_, api) => {
        if (!APIS[api]) throw new errors.InvalidTarget();
        return resourceServer(api);
      },
    },
  };
}

/** The usual pages, without one at each login of a program of the user's own machine (RFC 8252, 8.6):
    Entra and Keycloak have no such page, so `prompt=none` succeeds there. */
function pages() {
  const policy = interactionPolicy.base();
  policy.get('consent').checks.remove('native_client_prompt');
  policy.get('login').checks.add(new Check(
    'no_such_user',
    'whoever signed in before is disabled',
    'login_required',
    ({ oidc: { session, account: user } }) => (
      session.accountId && !user ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT),
  ));
  return policy;
}

function configuration({ settings, people, store, keys, webBases }) {
  const { tenant, clientCert, habits } = settings;
  return {
    adapter: store.adapter(habits),
    clients: clients(clientCert, webBases),
    jwks: { keys: keys.jwks },
    cookies: { keys: ['test-only'] },
    scopes: SCOPES,
    claims: {
      openid: ['sub'], profile: ['name', 'preferred_username', 'oid', 'tid'], email: ['email'],
    },
    enabledJWA: {
      idTokenSigningAlgValues: ['RS256', 'ES256', 'EdDSA'],
      clientAuthSigningAlgValues: ['PS256', 'RS256', 'HS256'],
    },
    routes: routes(tenant),
    ttl: lifetimes(habits),
    pkce: { required: (_, client) => client.clientAuthMethod === 'none' },
    rotateRefreshToken: () => habits.rotation !== 'none',
    issueRefreshToken: async (_, client, code) => (
      client.grantTypeAllowed('refresh_token')
      && (code.scopes.has('offline_access') || isRefreshed(client))),
    findAccount: (_, id) => account(people, id),
    extraTokenClaims: (ctx, token) => extraClaims(people, token, ctx?.oidc.entities ?? {}),
    formats: {
      customizers: { jwt: async (_, __, jwt) => { jwt.header = { typ: habits.typ }; } },
    },
    interactions: { policy: pages(), url: (_, interaction) => `/interaction/${interaction.uid}` },
    features: features(),
  };
}

/** A Provider over the shared store; built anew when the keys change. */
export function buildProvider(origin, world) {
  const { tenant, debug } = world.settings;
  const provider = new Provider(`${origin}/${tenant}/v2.0`, configuration(world));
  provider.use(async (context, next) => {
    await next();
    // RFC 8628, 3.2: else whoever waits for a code asks every five seconds.
    if (context.body?.device_code) context.body.interval = 1;
  });
  provider.on('server_error', (_, error) => console.error(error));
  provider.on('grant.error', (_, error) => {
    if (error.error_detail === 'refresh token already used') world.issued.noteReuse();
  });
  if (debug) {
    // The client is told "grant request is invalid" and no more; here is why.
    for (const event of EVENTS) {
      provider.on(event, (_, error) => (
        console.error(event, error.error, error.error_detail ?? error.error_description)));
    }
  }
  provider.registerGrantType(
    'password', passwordGrant(provider, world.people), ['username', 'password', 'scope', 'resource'],
  );
  provider.registerGrantType(TOKEN_EXCHANGE, tokenExchange(provider, world), PARAMETERS);
  return provider;
}
