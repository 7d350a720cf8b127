// Where oidc-provider keeps what it issued: one unbounded map, shared by all its models.
// (Its built-in store forgets all but the newest 1,000 items.)

export class Store {
  #items = new Map();
  #byGrant = new Map();

  /** The adapter class that oidc-provider instantiates once for each of its models. */
  adapter(habits) {
    const store = this;
    return class {
      constructor(model) {
        this.model = model;
      }

      key(id) {
        return `${this.model}:${id}`;
      }

      async upsert(id, item) {
        store.#put(this.key(id), item);
        if (item.userCode) store.#items.set(`userCode:${item.userCode}`, id);
        if (this.model === 'Session') store.#items.set(`uid:${item.uid}`, id);
      }

      async find(id) {
        return store.#items.get(this.key(id));
      }

      async findByUid(uid) {
        return this.find(store.#items.get(`uid:${uid}`));
      }

      async findByUserCode(code) {
        return this.find(store.#items.get(`userCode:${code}`));
      }

      async destroy(id) {
        store.#items.delete(this.key(id));
      }

      async consume(id) {
        // Entra never marks a refresh token as used: the old one stays good.
        if (this.model === 'RefreshToken' && habits.rotation === 'entra') return;
        store.#items.get(this.key(id)).consumed = Math.floor(Date.now() / 1000);
      }

      async revokeByGrantId(grantId) {
        for (const key of store.#byGrant.get(grantId) ?? []) store.#items.delete(key);
        store.#byGrant.delete(grantId);
      }
    };
  }

  #put(key, item) {
    this.#items.set(key, item);
    if (!item.grantId) return;
    if (!this.#byGrant.has(item.grantId)) this.#byGrant.set(item.grantId, new Set());
    this.#byGrant.get(item.grantId).add(key);
  }

  /** Ends all that this account was granted, like Graph's revokeSignInSessions. */
  forgetAccount(oid) {
    for (const [key, item] of this.#items) if (item?.accountId === oid) this.#items.delete(key);
  }
}
