// JSON in and out of a plain Node request.

import { text } from 'node:stream/consumers';

export function json(response, value, status = 200, headers = {}) {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(JSON.stringify(value));
}

export async function readJson(request) {
  const body = await text(request);
  return body ? JSON.parse(body) : {};
}
