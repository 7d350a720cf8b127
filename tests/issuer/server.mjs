// The OAuth issuer of sessiond's tests: npm's oidc-provider (a certified OpenID server) laid out
// like Microsoft Entra, with faults on demand. Entra-shaped, not Entra. Its environment: settings.mjs.
// Prints one line of JSON when it is ready: {"ready": true, "issuer": …}.

import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';

import { Calls } from './calls.mjs';
import { controls, obey } from './control.mjs';
import { likeEntra } from './entra.mjs';
import { Faults } from './faults.mjs';
import { Graph } from './graph.mjs';
import { Issued } from './issued.mjs';
import { SigningKeys } from './keys.mjs';
import { showInteraction } from './login_form.mjs';
import { People } from './people.mjs';
import { buildProvider } from './provider.mjs';
import { readSettings } from './settings.mjs';
import { Store } from './store.mjs';

const CONTROL = '/_ctl/';
const FROM_TEST = 'x-from-test'; // a test's own preparations: neither counted nor struck

function makeServer(certs) {
  if (!certs) return http.createServer();
  return https.createServer({
    key: fs.readFileSync(`${certs}/server.key`), cert: fs.readFileSync(`${certs}/server.pem`),
  });
}

function makeHandler(origin, settings) {
  const people = new People();
  const world = {
    settings,
    people,
    store: new Store(),
    keys: new SigningKeys(),
    graph: new Graph(origin, people),
    faults: new Faults(),
    calls: new Calls(),
    issued: new Issued(),
    webBases: ['https://localhost:5007'],
  };
  const discovery = `/${settings.tenant}/v2.0/.well-known/openid-configuration`;
  let provider;
  let answer;
  const rebuild = () => {
    provider = buildProvider(origin, world);
    provider.use(likeEntra(world, provider));
    answer = provider.callback();
  };
  rebuild();
  const actions = controls(world, rebuild);

  return async (request, response) => {
    request.cameAt = Date.now();
    const path = new URL(request.url, origin).pathname;
    if (path.startsWith(CONTROL)) return obey(actions, path.slice(CONTROL.length), request, response);
    if (!request.headers[FROM_TEST]) {
      world.calls.record(request.method, path);
      if (await world.faults.strike(path, request, response)) return undefined;
    }
    if (path === '/v1.0/me') return world.graph.me(provider, request, response);
    if (path.startsWith('/interaction/')) return showInteraction(provider, people, request, response);
    if (path === discovery) request.url = '/.well-known/openid-configuration';
    return answer(request, response);
  };
}

const settings = readSettings(process.env);
if (settings.endsWithStdin) {
  process.stdin.on('end', () => process.exit(0)).resume();
}
const server = makeServer(settings.certs);
server.keepAliveTimeout = 300_000; // never closes under a client that is about to send
server.listen(settings.port, '127.0.0.1', () => {
  const origin = `${settings.certs ? 'https' : 'http'}://localhost:${server.address().port}`;
  const handle = makeHandler(origin, settings);
  server.on('request', (request, response) => {
    handle(request, response).catch((error) => {
      console.error(error);
      response.destroy();
    });
  });
  console.log(JSON.stringify({ ready: true, issuer: `${origin}/${settings.tenant}/v2.0`, pid: process.pid }));
});
