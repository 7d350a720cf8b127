// The pages of a browser login: plain HTML forms, a real check of the password.

import { text } from 'node:stream/consumers';

function html(response, status, content) {
  response.writeHead(status, { 'content-type': 'text/html' });
  response.end(content);
}

const wholePage = (title, form) => `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>${title}</title>
<style>body { font: 16px sans-serif; margin: 4em auto; width: 20em } label, input, button
{ display: block; margin: 0.5em 0; padding: 0.3em; width: 100%; box-sizing: border-box }</style>
<h1>${title}</h1>${form}</html>`;

// What is decided has no quotation marks: who walks through the pages by their text reads past it.
const forms = {
  login: `<label>Name <input name=login autofocus></label>
<label>Password <input name=password type=password></label><button>Sign in</button>`,
  consent: '<button>Allow</button><button name=decision value=deny>Deny</button>',
};

const form = (uid, prompt, client) => wholePage(
  prompt === 'login' ? 'Sign in to Contoso' : `Let ${client} act for you?`,
  `<form method=post action="/interaction/${uid}">
<input type=hidden name="prompt" value="${prompt}">${forms[prompt]}</form>`,
);

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
  const { uid, prompt, params } = interaction;
  if (request.method === 'GET') return html(response, 200, form(uid, prompt.name, params.client_id));

  const sent = new URLSearchParams(await text(request));
  const finish = (result, merge) => (
    provider.interactionFinished(request, response, result, { mergeWithLastSubmission: merge }));
  if (sent.get('decision') === 'deny') return finish({ error: 'access_denied' }, false);
  if (prompt.name === 'login') {
    const user = people.withPassword(sent.get('login'), sent.get('password'));
    if (!user) return html(response, 401, 'bad credentials');
    return finish({ login: { accountId: user.sub, amr: ['pwd'] } }, false);
  }
  return finish({ consent: { grantId: await consent(provider, interaction) } }, true);
}
