// The tenant's users. A password is `pw-` and the name before the @, unless said otherwise.

import { randomUUID } from 'node:crypto';

export const TENANT_ID = '11111111-2222-4333-8444-555555555555';

const FIRST = {
  'alice@contoso.test': { oid: 'a11ce000-0000-4000-8000-000000000001', name: 'Alice', roles: ['trader'] },
  'bob@contoso.test': { oid: 'b0b00000-0000-4000-8000-000000000002', name: 'Bob', roles: [] },
};

export class People {
  #byName = new Map();
  #byOid = new Map();
  #bySub = new Map();

  constructor() {
    this.reset();
  }

  reset() {
    this.#byName.clear();
    this.#byOid.clear();
    this.#bySub.clear();
    for (const [upn, members] of Object.entries(FIRST)) this.change(upn, members);
  }

  /** Makes the user, or changes some members of one who is there. */
  change(upn, members) {
    const key = upn.toLowerCase();
    const known = this.#byName.get(key)
      ?? { upn, oid: randomUUID(), name: upn.split('@')[0], password: `pw-${key.split('@')[0]}`, roles: [] };
    const user = Object.assign(known, members);
    user.sub = `sub-${user.oid}`; // Entra's is pairwise, and never the object id
    this.#byName.set(key, user);
    this.#byOid.set(user.oid, user);
    this.#bySub.set(user.sub, user);
    return user;
  }

  /** The user with this name (any case), object id or subject; undefined for a disabled one. */
  find(who) {
    const user = this.#byOid.get(who) ?? this.#bySub.get(who) ?? this.#byName.get(String(who).toLowerCase());
    return user?.disabled ? undefined : user;
  }

  withPassword(name, password) {
    const user = this.find(name);
    return user && user.password === password ? user : undefined;
  }
}
