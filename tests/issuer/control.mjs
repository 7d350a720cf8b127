// POST /_ctl/NAME: the test's hand on the issuer. These requests are neither counted nor struck.

import { json, readJson } from './http_json.mjs';

function publicUser({ upn, oid, name, roles, disabled = false }) {
  return { user: upn, oid, name, roles, disabled };
}

export function controls(world, rebuild) {
  const { settings, people, store, keys, graph, faults, calls, issued } = world;
  const firstHabits = { ...settings.habits };
  const known = (name) => {
    const user = people.find(name);
    if (!user) throw new TypeError(`no user ${name}`);
    return user;
  };
  const rotate = (dropOld) => {
    keys.rotate({ dropOld });
    rebuild();
    return { kids: keys.jwks.map((key) => key.kid) };
  };

  return {
    rotate: ({ drop_old: dropOld = false }) => rotate(dropOld),
    'web-bases': ({ bases }) => {
      world.webBases = bases;
      rebuild();
    },
    fault: (fault) => faults.add(fault),
    'clear-faults': () => faults.clear(),
    user: ({ user, set }) => publicUser(people.change(user, set)),
    // Like Graph's revokeSignInSessions; unlike it, at once and for opaque access tokens too.
    'revoke-user': ({ user }) => {
      const { oid, sub } = known(user);
      store.forgetAccount(sub);
      graph.forgetAccount(oid);
    },
    'graph-token': ({ user, ...options }) => {
      const seconds = settings.habits.access_token_seconds;
      return { access_token: graph.issue(known(user), { seconds, ...options }) };
    },
    set: (habits) => {
      for (const name of Object.keys(habits)) {
        if (!(name in settings.habits)) throw new TypeError(`no habit ${name}`);
      }
      return Object.assign(settings.habits, habits);
    },
    log: () => calls.take(),
    calls: () => calls.counts(),
    issued: () => issued.secrets,
    reuses: () => issued.reuses,
    refreshes: () => issued.takeRefreshes(),
    arrival: ({ path, count = 1 }) => calls.arrival(path, count),
    reset: () => {
      faults.clear();
      calls.reset();
      issued.reset();
      people.reset();
      Object.assign(settings.habits, firstHabits);
    },
  };
}

/** Carries out one control request; what a test got wrong comes back as 400 with the reason. */
export async function obey(actions, name, request, response) {
  const action = Object.hasOwn(actions, name) ? actions[name] : undefined;
  if (!action) return json(response, { error: `no control ${name}` }, 404);
  try {
    return json(response, await action(await readJson(request)) ?? {});
  } catch (error) {
    return json(response, { error: String(error) }, 400);
  }
}
