// How this issuer behaves: from the environment at first, from /_ctl/set while it runs.

const number = (text, otherwise) => Number(text ?? otherwise);

/**
 * PORT            0 = any free one; the ready line names it
 * TENANT          the first part of each path, as at Entra
 * CERTS           folder with server.key and server.pem; empty = plain http
 * CLIENT_CERT     PEM file of the client `sessiond-cert` (private_key_jwt); empty = no such client
 * AT_TTL, RT_TTL  seconds an access token and a refresh token live
 * ROTATION        strict = a refresh token is good once, and its reuse ends the whole grant;
 *                 entra  = each refresh gives a new one, and the old one stays good;
 *                 none   = the same one for ever
 * SCOPELESS       api = a refresh without scope is answered with a token for our API;
 *                 graph = with one for Microsoft Graph, as Entra does
 * ENDS_WITH_STDIN any text = exit when standard input ends, so that no server outlives its test
 * DEBUG           any text = say why a grant was refused (the client is not told)
 * TYP             `typ` of a JWT access token's header: at+jwt (RFC 9068) or JWT (Entra)
 */
export function readSettings(env) {
  return {
    port: number(env.PORT, 0),
    tenant: env.TENANT ?? 'contoso',
    certs: env.CERTS ?? '',
    clientCert: env.CLIENT_CERT ?? '',
    debug: Boolean(env.DEBUG),
    endsWithStdin: Boolean(env.ENDS_WITH_STDIN),
    habits: {
      access_token_seconds: number(env.AT_TTL, 3600),
      refresh_token_seconds: number(env.RT_TTL, 86400),
      rotation: env.ROTATION ?? 'strict',
      scopeless: env.SCOPELESS ?? 'api',
      typ: env.TYP ?? 'at+jwt',
    },
  };
}
