// The signing keys: one of each algorithm in a generation, the newest generation first.

import { generateKeyPairSync } from 'node:crypto';

export class SigningKeys {
  #made = 0;
  #generations = [];

  constructor() {
    this.rotate({ dropOld: false });
  }

  /** JWKs with their private members, in the order in which oidc-provider prefers them. */
  get jwks() {
    return this.#generations.flat();
  }

  rotate({ dropOld }) {
    const fresh = [
      this.#key('RS256', 'rsa', { modulusLength: 2048 }),
      this.#key('ES256', 'ec', { namedCurve: 'P-256' }),
      this.#key('EdDSA', 'ed25519', {}),
    ];
    this.#generations = dropOld ? [fresh] : [fresh, ...this.#generations];
  }

  #key(alg, type, options) {
    const { privateKey } = generateKeyPairSync(type, options);
    this.#made += 1;
    return { ...privateKey.export({ format: 'jwk' }), kid: `${alg}-${this.#made}`, alg, use: 'sig' };
  }
}
