// Microsoft Graph, as far as a login needs it: its tokens, and GET /v1.0/me.
// Graph's tokens look like JWTs, but only Graph can tell a good one: the header's `nonce` is
// hashed before signing, so nobody's check of the signature succeeds. Ours is random bytes.

import { randomBytes, randomUUID } from 'node:crypto';

import { json } from './http_json.mjs';
import { TENANT_ID } from './people.mjs';

export const GRAPH_URL = 'https://graph.microsoft.com';
export const GRAPH_ID = '00000003-0000-0000-c000-000000000000';

const part = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

export class Graph {
  #issued = new Map(); // token -> { oid, expiresAt in ms }
  #origin;
  #people;

  constructor(origin, people) {
    this.#origin = origin;
    this.#people = people;
  }

  /** A v1.0 access token for Graph, good for `seconds`. */
  issue(user, { seconds, audience = GRAPH_URL, appid = 'qstudio' }) {
    const now = Math.floor(Date.now() / 1000);
    const header = {
      typ: 'JWT', nonce: randomBytes(32).toString('base64url'), alg: 'RS256', kid: 'graph-only',
    };
    const claims = {
      aud: audience,
      iss: `https://sts.windows.net/${TENANT_ID}/`,
      iat: now,
      nbf: now,
      exp: now + seconds,
      appid,
      name: user.name,
      oid: user.oid,
      scp: 'User.Read',
      sub: `graph-${user.oid}`,
      tid: TENANT_ID,
      unique_name: user.upn,
      upn: user.upn,
      uti: randomUUID(),
      ver: '1.0',
    };
    const token = `${part(header)}.${part(claims)}.${randomBytes(256).toString('base64url')}`;
    this.#issued.set(token, { oid: user.oid, expiresAt: claims.exp * 1000 });
    return token;
  }

  forgetAccount(oid) {
    for (const [token, issued] of this.#issued) if (issued.oid === oid) this.#issued.delete(token);
  }

  /** GET /v1.0/me, for Graph's own tokens and the provider's opaque ones. */
  async me(provider, request, response) {
    const [, token] = /^Bearer (.+)$/i.exec(request.headers.authorization ?? '') ?? [];
    const user = token && (this.#owner(token) ?? await this.#opaqueOwner(provider, token));
    return user ? this.#describe(response, user) : this.#refuse(response);
  }

  #owner(token) {
    const issued = this.#issued.get(token);
    return issued && issued.expiresAt > Date.now() ? this.#people.find(issued.oid) : undefined;
  }

  async #opaqueOwner(provider, token) {
    const found = await provider.AccessToken.find(token);
    return found && !found.isExpired ? this.#people.find(found.accountId) : undefined;
  }

  #describe(response, { oid, name, upn }) {
    json(response, {
      '@odata.context': `${this.#origin}/v1.0/$metadata#users/$entity`,
      id: oid,
      displayName: name,
      userPrincipalName: upn,
      mail: upn,
    });
  }

  #refuse(response) {
    const innerError = {
      date: new Date().toISOString().slice(0, 19),
      'request-id': randomUUID(),
      'client-request-id': randomUUID(),
    };
    const error = {
      code: 'InvalidAuthenticationToken',
      message: 'Access token has expired or is not yet valid.',
      innerError,
    };
    const authorize = `${this.#origin}/common/oauth2/authorize`;
    json(response, { error }, 401, {
      'www-authenticate': `Bearer realm="", authorization_uri="${authorize}", client_id="${GRAPH_ID}"`,
    });
  }
}
