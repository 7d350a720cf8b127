// quotes.q - an example: a table of JSON rows from an HTTPS source, with a token that sessiond gets for this process. Load
// it after the hook (`\l quotes.q`, or TorQ's -load) and change what is at the top. For kdb+ 3.5 and later, with libssl and
// $KX_SSL_CA_CERT_FILE for https. sessiond's configuration says what the source is, and who may ask for it:
//
//   [[source]]
//   name = "market-data"
//   issuer = "corp"
//   client_id = "kdb-feeds"
//   client_secret_file = "/etc/sessiond/feeds.secret"
//   processes = ["feed*"]

\d .quotes

// ---- settings: set them before this file is loaded ----
source:@[value;`.quotes.source;"market-data"]                   // a string: `market-data is `market minus data
server:@[value;`.quotes.server;`$":https://quotes.example.com"]
path:@[value;`.quotes.path;"/v1/quotes"]

host:{[server] "/" sv 2_"/" vs string server}
request:{[token] "\r\n" sv ("GET ",path," HTTP/1.1";"Host: ",host server;"Authorization: Bearer ",token;
  "Accept: application/json";"Connection: close";"";"")}
rows:{[answer]                                                  // of the whole text of an answer
  status:(answer?"\r")#answer;
  if[not (" " vs status)[1]~"200"; '"the source says ",status];
  .j.k (4+first answer ss "\r\n\r\n")_answer}
ask:{[token] rows server request token}                         // q puts no time limit on it: for a process that nobody waits for
with:{[token] @[ask;token;{[token;e] '"quotes: ",.sessiond.withheld[token;e]}[token]]}   // no error ever shows the token

fetch:{[] with .sessiond.token source}                          // as this process
fetchfor:{[h] with .sessiond.tokenof[h;source]}                 // as the user on a handle: a source with grant = "on_behalf_of"

\d .
