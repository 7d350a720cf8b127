// What the issuer gave out, so that a test can look for it wherever it should not be.

import { createHash } from 'node:crypto';

const MEMBERS = ['access_token', 'refresh_token', 'id_token'];
const BROUGHT = ['code', 'code_verifier'];

export class Issued {
  #secrets = [];
  #reuses = 0;
  #refreshes = [];

  /** After oidc-provider has answered at its token endpoint: what it gave, and what it was brought. */
  note({ body, oidc: { params } }) {
    for (const name of MEMBERS) this.#keep(name, body[name]);
    for (const name of BROUGHT) this.#keep(name, params[name]);
  }

  #keep(name, secret) {
    if (secret) this.#secrets.push({ name, secret });
  }

  /** A refresh token came, and was taken or refused; `at` is when, in ms. */
  noteRefresh({ body, oidc, res }, at) {
    const { grant_type: grantType, refresh_token: token } = oidc?.params ?? {};
    if (grantType !== 'refresh_token') return;
    const client = oidc.client?.clientId ?? '';
    const digest = createHash('sha256').update(token ?? '').digest('hex');
    const came = { client, digest, at: at / 1000, error: body?.error ?? '', took: null };
    res.once('finish', () => { came.took = (Date.now() - at) / 1000; });
    this.#refreshes.push(came);
  }

  /** `{client, digest, at, error, took}` of each refresh token that came since this was last asked. */
  takeRefreshes() {
    return this.#refreshes.splice(0);
  }

  /** A refresh token came that was spent before: RFC 9700, 4.14, takes one of the two for a thief. */
  noteReuse() {
    this.#reuses += 1;
  }

  get reuses() {
    return this.#reuses;
  }

  /** `{name, secret}` of each since the last reset. */
  get secrets() {
    return this.#secrets;
  }

  reset() {
    this.#secrets = [];
    this.#reuses = 0;
    this.#refreshes = [];
  }
}
