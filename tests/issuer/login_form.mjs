// The pages of a browser login: plain HTML forms, a real check of the password.

import { text } from 'node:stream/consumers';

function html(response, status, page) {
  response.writeHead(status, { 'content-type': 'text/html' });
  response.end(page);
}

const form = (uid, prompt) => `<form method=post action="/interaction/${uid}">
<input name="prompt" value="${prompt}"><input name=login><input name=password type=password>
<button>ok</button></form>`;

async function consent(provider, { grantId, session, params, prompt: { details } }) {
  const grant = (grantId && await provider.Grant.find(grantId))
    || new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  if (details.missingOIDCScope) grant.addOIDCScope(details.missingOIDCScope.join(' '));
  if (details.missingOIDCClaims) grant.addOIDCClaims(details.missingOIDCClaims);
  for (const [api, scopes] of Object.entries(details.missingResourceScopes ?? {})) {
    grant.addResourceScope(api, scopes.join(' '));
  }
  return grant.save();
}

export async function showInteraction(provider, people, request, response) {
  const interaction = await provider.interactionDetails(request, response);
  const { uid, prompt } = interaction;
  if (request.method === 'GET') return html(response, 200, form(uid, prompt.name));

  const sent = new URLSearchParams(await text(request));
  const finish = (result, merge) => (
    provider.interactionFinished(request, response, result, { mergeWithLastSubmission: merge }));
  if (prompt.name === 'login') {
    const user = people.withPassword(sent.get('login'), sent.get('password'));
    if (!user) return html(response, 401, 'bad credentials');
    return finish({ login: { accountId: user.sub, amr: ['pwd'] } }, false);
  }
  return finish({ consent: { grantId: await consent(provider, interaction) } }, true);
}
