// page.q - an example: the front page of a q process says who has signed in, and leads to signing out (docs/web.md has
// all that it takes). Load it before the hook (`\l page.q`, then `\l sessiond.q` with .sessiond.web:1b); it needs no TorQ.
// For kdb+ 3.5 and later; browsers are let in by 4.0 of 2021.07.12 and later alone. It takes the place of q's own .z.ph,
// which evaluates whatever follows a `?`: here nothing that a browser sends is evaluated, and a GET changes nothing.

\d .page

// ---- HTML: names, roles and claims are text, whatever is in them ----
entities:"&<>\"'"!("&amp;";"&lt;";"&gt;";"&quot;";"&#39;")
escape:{[text] raze enlist[""],{[c] $[c in key entities;entities c;enlist c]} each text,()}
row:{[name;text] "<tr><th scope=\"row\">",escape[name],"<td>",escape[text],"\n"}
style:"body{font:1rem/1.5 system-ui,sans-serif;max-width:40rem;margin:2rem auto;padding:0 1rem}th{text-align:left;padding-right:1rem}"
whole:{[title;content]
  "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width\">\n",
  "<title>",escape[title],"</title>\n<style>",style,"</style>\n<h1>",escape[title],"</h1>\n",content,"</html>\n"}

// ---- what is on the page ----
// person: as .sessiond.who gives it, or an empty dictionary: no token session
known:{[person]
  said:(row["Name";string person`name];row["Roles";", " sv string person`roles];row["This access lasts until";@[16#string person`expires;10;:;" "]," UTC, and is prolonged by itself"]);
  a:person`attributes;
  "<table>\n",(raze said,row'[string key a;value a]),"</table>\n"}
content:{[person;leave]                                         // leave: where signing out is; "": nothing to sign out of
  $[count person;known person;"<p>You came by a password, or by none.</p>\n"],
  $[count leave;"<p><a href=\"",escape[leave],"\">Sign out</a></p>\n";""]}

// ---- HTTP ----
guards:("Content-Type: text/html; charset=utf-8";"Cache-Control: no-store";"X-Content-Type-Options: nosniff";
  "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
  "Referrer-Policy: same-origin";"Connection: close")
respond:{[status;html] "\r\n" sv (enlist "HTTP/1.1 ",status),guards,("Content-Length: ",string count html;"";html)}
path:{[x] text:$[10h=type first x;first x;""]; (text?"?")#text}  // .z.ph is given it without its first slash
front:{[x]
  if[not path[x] in ("";enlist "/"); :respond["404 Not Found";whole["Not here";"<p><a href=\"/\">To the front page</a></p>\n"]]];
  respond["200 OK";whole["Who you are here";content[.sessiond.who .z.w;.sessiond.signout[]]]]}

\d .

.z.ph:{[x] .page.front x}
